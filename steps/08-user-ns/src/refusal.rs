//! Why a host refuses a user namespace.
//!
//! A user namespace opens much of the kernel to people who could not reach it before, and some
//! distributions keep it shut. The errno does not say which switch it was, so we look at them.

use std::fs;

use anyhow::anyhow;
use nix::errno::Errno;

/// A switch, the value that shuts the namespace, and what opens it.
struct Switch {
    file: &'static str,
    shut: &'static str,
    remedy: &'static str,
}

/// In every kernel: how many may exist.
const LIMIT: Switch = Switch {
    file: "/proc/sys/user/max_user_namespaces",
    shut: "0",
    remedy: "this host allows none: as root, sysctl -w user.max_user_namespaces=15000",
};

/// Debian's own, until version 10 shut by default.
const DEBIAN: Switch = Switch {
    file: "/proc/sys/kernel/unprivileged_userns_clone",
    shut: "0",
    remedy: "this host allows them to root only: as root, \
             sysctl -w kernel.unprivileged_userns_clone=1",
};

/// Ubuntu's own, since 23.10. Then a namespace can be made, but nothing in it.
const UBUNTU: Switch = Switch {
    file: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    shut: "1",
    remedy: "AppArmor allows them to programs with a profile only: as root, \
             sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
};

/// Adds to an error of clone(2) what is known about this host.
pub fn explain_clone(error: anyhow::Error) -> anyhow::Error {
    let errno = error.root_cause().downcast_ref::<Errno>().copied();
    let reason = match errno {
        Some(Errno::EINVAL) => Some("this kernel has no user namespaces (CONFIG_USER_NS)"),
        Some(Errno::ENOSPC | Errno::EUSERS) => shut(&[LIMIT])
            .or(Some("there are as many as this host allows, or they are nested too deeply")),
        Some(Errno::EPERM | Errno::EACCES) => shut(&[DEBIAN, UBUNTU])
            .or(Some("is this a chroot, or a container whose seccomp filter forbids it?")),
        _ => None,
    };
    match reason {
        Some(reason) => error.context(format!("make a user namespace ({reason})")),
        None => error,
    }
}

/// The namespace is there, and its root may do nothing.
pub fn powerless() -> anyhow::Error {
    let reason = shut(&[UBUNTU]).unwrap_or("a security module refuses its capabilities");
    anyhow!(Errno::EPERM).context(format!("become root in a user namespace ({reason})"))
}

/// What opens the first of the switches that is shut.
fn shut(switches: &[Switch]) -> Option<&'static str> {
    let is_shut = |switch: &&Switch| {
        fs::read_to_string(switch.file).is_ok_and(|value| value.trim() == switch.shut)
    };
    switches.iter().find(is_shut).map(|switch| switch.remedy)
}
