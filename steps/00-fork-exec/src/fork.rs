//! The child process.

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use anyhow::Context;
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::unistd::{self, ForkResult, Pid, getpid};

use crate::{inherited, pidfd, program, signals};

/// A running child, as its parent holds it. [`wait`](crate::wait()) needs nothing else, however the
/// child came to be.
pub struct Child {
    /// Its number, as the parent sees it.
    pub pid: Pid,
    /// Stands for the process, and becomes readable when it has ended.
    pub(crate) pidfd: OwnedFd,
    /// Where the signals arrive that somebody sends to the parent.
    pub(crate) signals: SignalFd,
}

/// Runs `child` in a new process. It is meant to end in [`exec`](crate::exec()): it returns only
/// when it failed, and then the child process itself says why and exits with 125, 126 or 127.
///
/// Signals sent to the parent from here on wait for [`wait`](crate::wait()) to pass them on.
pub fn fork(child: impl FnOnce() -> anyhow::Result<Infallible>) -> anyhow::Result<Child> {
    // SAFETY: a step has a single thread, so no lock that the child may need is held by another
    // one.
    fork_by(|| unsafe { unistd::fork() }.context("fork"), child)
}

/// The same with another call in the place of fork(2), as step 06 needs it: one that returns twice
/// too.
pub fn fork_by(
    call: impl FnOnce() -> anyhow::Result<ForkResult>,
    child: impl FnOnce() -> anyhow::Result<Infallible>,
) -> anyhow::Result<Child> {
    signals::hold()?;
    let parent = pidfd::open(getpid())?;
    match call()? {
        ForkResult::Parent { child } => {
            Ok(Child { pid: child, pidfd: pidfd::open(child)?, signals: signals::receive()? })
        }
        ForkResult::Child => in_child(parent, child),
    }
}

/// The life of the child. It never returns into code that belongs to the parent: what that would
/// clean up on its way out is the parent's, not a copy's.
fn in_child(parent: OwnedFd, child: impl FnOnce() -> anyhow::Result<Infallible>) -> ! {
    let start = || {
        die_with(&parent)?;
        // An init (step 06) would otherwise keep a way out of the container open.
        drop(parent);
        inherited::give_back()?;
        child()
    };
    let Err(error) = start();
    inherited::ignore_sigpipe();
    exit(program::report(&error))
}

/// Ends a forked child at once.
pub fn exit(status: u8) -> ! {
    // SAFETY: _exit(2) has no conditions. Unlike exit(3), it runs nothing that was registered in
    // the parent.
    unsafe { libc::_exit(status.into()) }
}

/// Has the kernel kill this process when its parent dies, even if that is killed with SIGKILL and
/// can do nothing about it any more. An execve(2) keeps this, unless the program is set-uid;
/// a process that changes its user id loses it.
fn die_with(parent: &OwnedFd) -> anyhow::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("prctl PR_SET_PDEATHSIG")?;
    // A parent that died before that line will not be announced. It cannot be asked for with
    // getppid(2): in a PID namespace of its own (step 06) a process always gets 0 there.
    if pidfd::has_ended(parent)? {
        exit(0); // Nobody is left to see a status, or to read a message.
    }
    Ok(())
}
