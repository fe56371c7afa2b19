//! The eight kinds of namespaces (namespaces(7)), and what may keep a user from having one.

use std::fs;
use std::path::Path;

use anyhow::Result;
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::getpid;

use super::{Finding, seccomp};
use crate::sandbox::fork;
use crate::sandbox::users::Privilege;

/// A namespace's name in `/proc/self/ns`, its flag, and what it gives to its processes.
type Namespace = (&'static str, CloneFlags, &'static str);

/// All but `user`, which is tried apart, in the order of the steps.
const NAMESPACES: [Namespace; 7] = [
    ("mnt", CloneFlags::CLONE_NEWNS, "mount table"),
    ("uts", CloneFlags::CLONE_NEWUTS, "host name"),
    ("ipc", CloneFlags::CLONE_NEWIPC, "message queues and shared memory"),
    ("pid", CloneFlags::CLONE_NEWPID, "process ids"),
    ("net", CloneFlags::CLONE_NEWNET, "network"),
    // nix has no name for it.
    ("time", CloneFlags::from_bits_retain(libc::CLONE_NEWTIME), "clocks"),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP, "view of the cgroups"),
];

/// Makes one of each, as the caller.
pub fn examine(privilege: Privilege) -> Vec<Finding> {
    let mut findings = vec![user()];
    for (name, flag, gives) in NAMESPACES {
        let title = format!("{name} namespace");
        findings.push(match fork::attempt(|| try_one(privilege, flag)) {
            Ok(()) => Finding::ok(title, format!("can have its own {gives}")),
            Err(_) if privilege == Privilege::None => Finding::needs_user_namespace(title),
            Err(errno) => Finding::missing(title, reason(errno), fix(name, errno)),
        });
    }
    findings
}

fn try_one(privilege: Privilege, flag: CloneFlags) -> Result<()> {
    match flag {
        CloneFlags::CLONE_NEWUTS => privilege.try_host_name(),
        CloneFlags::CLONE_NEWPID => {
            privilege.unshare(flag)?;
            // The next child is the first process of the namespace.
            let is_first = || match getpid().as_raw() {
                1 => Ok(()),
                _ => Err(Errno::ENOTSUP.into()),
            };
            Ok(fork::attempt(is_first)?)
        }
        _ => privilege.unshare(flag),
    }
}

fn user() -> Finding {
    let title = "user namespace";
    match fork::attempt(|| Privilege::UserNamespace.try_host_name()) {
        Ok(()) => Finding::ok(title, "can be root of one"),
        Err(errno) => Finding::missing(title, reason(errno), forbidden_by()),
    }
}

fn reason(errno: Errno) -> String {
    format!("cannot have one: {}", errno.desc())
}

fn fix(name: &str, errno: Errno) -> &'static str {
    if is_unknown(name) {
        OTHER_KERNEL
    } else if errno == Errno::EINVAL {
        "leave this chroot: its root is not a mount point"
    } else {
        IN_A_CONTAINER
    }
}

const OTHER_KERNEL: &str = "boot a kernel of a distribution: this one was built without it";
const IN_A_CONTAINER: &str = "leave this container, or start it with --privileged";

/// Whether this kernel does not have such a namespace at all.
fn is_unknown(name: &str) -> bool {
    let known = Path::new("/proc/self/ns");
    known.exists() && !known.join(name).exists()
}

/// What keeps the caller from making a user namespace, and what to do about it.
fn forbidden_by() -> String {
    let set = |name: &str, value: &str| format!("sudo sysctl -w {name}={value}");
    if is_unknown("user") {
        OTHER_KERNEL.into()
    } else if sysctl("kernel/unprivileged_userns_clone") == Some(0) {
        set("kernel.unprivileged_userns_clone", "1")
    } else if sysctl("user/max_user_namespaces") == Some(0) {
        set("user.max_user_namespaces", "15000")
    } else if sysctl("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        // Ubuntu since 23.10: only programs with a profile that grants it.
        set("kernel.apparmor_restrict_unprivileged_userns", "0") + " (until the next boot)"
    } else if seccomp::is_filtered() {
        format!("{IN_A_CONTAINER} or --security-opt seccomp=unconfined: a filter is on us")
    } else {
        "look for what forbids it: a security module, or a chroot that we are in".into()
    }
}

fn sysctl(path: &str) -> Option<u32> {
    let value = fs::read_to_string(Path::new("/proc/sys").join(path)).ok()?;
    value.trim().parse().ok()
}
