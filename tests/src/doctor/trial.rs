//! Trying things out where they cannot hurt: in a child that ends at once.
//!
//! Whether the kernel will do something depends on its version, its configuration, sysctls,
//! security modules and filters. Nothing tells it as surely as asking the kernel to do it.

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork, getegid, geteuid, sethostname},
};
use std::fs;

/// How the caller comes by the privilege to make namespaces and mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// It has it: root, with `CAP_SYS_ADMIN`.
    Root,
    /// It may become root of a user namespace.
    UserNamespace,
    /// It may not even do that.
    None,
}

impl Privilege {
    /// What the caller has: found by making a host name of its own, which takes `CAP_SYS_ADMIN`.
    pub fn of_caller() -> Privilege {
        let works = |privilege: Privilege| in_child(|| privilege.unshare_host_name()).is_ok();
        (works(Privilege::Root).then_some(Privilege::Root))
            .or_else(|| works(Privilege::UserNamespace).then_some(Privilege::UserNamespace))
            .unwrap_or(Privilege::None)
    }

    /// Moves the calling process into new namespaces. Meant for a child of [`in_child`].
    pub fn unshare(self, flags: CloneFlags) -> nix::Result<()> {
        match self {
            Privilege::Root => (),
            Privilege::UserNamespace => become_root()?,
            Privilege::None => return Err(Errno::EPERM),
        }
        unshare(flags)?;
        if flags.contains(CloneFlags::CLONE_NEWNS) {
            // Else a mount made in here would show on the host (`mount_namespaces(7)`).
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
        }
        Ok(())
    }

    /// Makes a UTS namespace and sets its host name: a security module may grant a namespace
    /// and then refuse every use of it.
    pub fn unshare_host_name(self) -> nix::Result<()> {
        self.unshare(CloneFlags::CLONE_NEWUTS)?;
        sethostname("doctor")
    }
}

/// Makes a user namespace and maps root in it to the caller (`user_namespaces(7)`).
fn become_root() -> nix::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {user} 1"))?;
    write("/proc/self/gid_map", &format!("0 {group} 1"))
}

/// Does `trial` in a child process and returns how it went. Whatever it does to its own
/// namespaces is gone afterwards. It must not panic: there would be two of us.
pub fn in_child(trial: impl FnOnce() -> nix::Result<()>) -> nix::Result<()> {
    // SAFETY: `workshop doctor` has one thread, so the child is a whole copy of it.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let status = trial().map_or_else(|errno| errno as i32, |()| 0);
            // SAFETY: ends the child here and now, past everything that the parent will do.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => loop {
            return match waitpid(child, None) {
                Err(Errno::EINTR) => continue,
                Err(errno) => Err(errno),
                Ok(WaitStatus::Exited(_, 0)) => Ok(()),
                Ok(WaitStatus::Exited(_, errno)) => Err(Errno::from_raw(errno)),
                // Some filters kill where others refuse: it comes to the same.
                Ok(_) => Err(Errno::EPERM),
            };
        },
    }
}

/// The kernel's reason in an error of the standard library.
pub fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn write(file: &str, contents: &str) -> nix::Result<()> {
    fs::write(file, contents).map_err(|error| errno(&error))
}
