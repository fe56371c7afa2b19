//! By what right namespaces are made: as root, or as root of a user namespace.

use std::{fs, io};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid, sethostname};

use super::fork;
use super::mounts::make_mounts_private;

/// How the caller comes by the privilege to make namespaces and mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It has it: root, with `CAP_SYS_ADMIN`.
    Root,
    /// It may become root of a user namespace.
    UserNamespace,
    /// It may not even do that.
    None,
}

impl Privilege {
    /// What the caller has, found by setting a host name of its own, which takes `CAP_SYS_ADMIN`.
    pub fn of_caller() -> Privilege {
        let works = |privilege: &Privilege| fork::attempt(|| privilege.try_host_name()).is_ok();
        let found = [Privilege::Root, Privilege::UserNamespace].into_iter().find(works);
        found.unwrap_or(Privilege::None)
    }

    /// Makes this process root, if it is not: from then on it may make namespaces.
    pub fn acquire(self) -> Result<()> {
        match self {
            Privilege::Root => Ok(()),
            // Without privilege it will fail, with the kernel's own reason.
            Privilege::UserNamespace | Privilege::None => become_root(),
        }
    }

    /// Moves this process into new namespaces.
    pub fn unshare(self, flags: CloneFlags) -> Result<()> {
        self.acquire()?;
        unshare(flags).context("unshare")?;
        if flags.contains(CloneFlags::CLONE_NEWNS) {
            make_mounts_private()?;
        }
        Ok(())
    }

    /// Makes a UTS namespace and sets its host name: a security module may grant a namespace and
    /// then refuse every use of it.
    pub fn try_host_name(self) -> Result<()> {
        self.unshare(CloneFlags::CLONE_NEWUTS)?;
        sethostname("trial").context("sethostname")
    }
}

/// Makes a user namespace in which the caller is root, and nobody else exists
/// (`user_namespaces(7)`).
fn become_root() -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)
        .context("unshare the user namespace, which an ordinary user needs")?;
    // Without privilege outside, a group map is only accepted once setgroups is given up.
    fs::write("/proc/self/setgroups", "deny").context("write deny to /proc/self/setgroups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("write /proc/self/uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("write /proc/self/gid_map")
}

/// The number that an ordinary user has.
pub const ORDINARY: u32 = 1000;

/// Makes this process, between fork and exec, one of an ordinary user.
///
/// In a user namespace the caller gets another number than 0, and with the exec a process with such
/// a number loses every capability. To the kernel he is still the same user, so whatever he may
/// reach otherwise he may reach now.
pub fn become_ordinary(may_make_namespaces: bool) -> io::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{ORDINARY} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{ORDINARY} {gid} 1"))?;
    if !may_make_namespaces {
        // A limit of this namespace, and of all below it.
        fs::write("/proc/sys/user/max_user_namespaces", "0")?;
    }
    Ok(())
}
