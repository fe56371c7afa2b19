//! A process as a descriptor, see `pidfd_open(2)`.
//!
//! A process id is only a number, and a later process may get the same one. A pidfd stands for the
//! one process for which it was opened, it can be waited for with poll(2) like any other
//! descriptor, and the kernel sets close-on-exec on it by itself. nix has no wrappers for these
//! calls yet.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use anyhow::Context;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

/// Opens the process `pid`, which must be a child that nobody has waited for yet, or the caller
/// itself: these two ids cannot have passed to another process.
pub fn open(pid: Pid) -> anyhow::Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = Errno::result(fd).context("pidfd_open")?;
    let fd = RawFd::try_from(fd).context("pidfd_open")?;
    // SAFETY: the kernel has just opened `fd` for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal by its number: real-time signals have no name in nix.
pub fn send_signal(pidfd: &OwnedFd, signal: libc::c_int) -> nix::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: `pidfd` is open, and without an info the kernel fills in that of kill(2).
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0)
    };
    Errno::result(result).map(drop)
}

/// Whether the process has ended, without waiting for it.
pub fn has_ended(pidfd: &OwnedFd) -> anyhow::Result<bool> {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut fds, PollTimeout::ZERO).context("poll a pidfd")? > 0)
}
