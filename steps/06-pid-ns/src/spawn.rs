//! A child with namespaces of its own from its first instruction.
//!
//! unshare(2) would not do: it moves the *children* of the caller into the new PID namespace and
//! leaves the caller outside, since a process keeps its number for life.

use std::convert::Infallible;

use anyhow::Context;
use fork_exec::{Child, fork_by};
use nix::errno::Errno;
use nix::libc;
use nix::sched::CloneFlags;
use nix::unistd::{ForkResult, Pid};

/// Runs `child` in a new process, as [`fork`](fork_exec::fork()) does, with the namespaces of
/// `flags` made for it.
pub fn spawn(
    flags: CloneFlags,
    child: impl FnOnce() -> anyhow::Result<Infallible>,
) -> anyhow::Result<Child> {
    fork_by(|| clone(flags), child)
}

/// The system call clone(2). The C library's function of that name starts a function on a stack of
/// its own; without a stack the call returns twice, like fork(2).
fn clone(flags: CloneFlags) -> anyhow::Result<ForkResult> {
    // The lowest byte has room for the signal that tells the parent of the child's end.
    let flags_and_signal = libc::c_long::from(flags.bits() | libc::SIGCHLD);
    let none: libc::c_long = 0;
    // clone3(2) has a better form, but an old seccomp filter around us may not know it. (The C
    // library does not notice this fork, and takes the child's thread id for the parent's: only
    // abort(3) and raise(3) would ask for it.)
    let result =
        // SAFETY: a step has a single thread, so no lock that the child may need is held by another
        // one, and no memory is shared.
        unsafe { libc::syscall(libc::SYS_clone, flags_and_signal, none, none, none, none) };
    let result = Errno::result(result).with_context(|| {
        let names: Vec<_> = flags.iter_names().map(|(name, _)| name).collect();
        format!("clone with {}", names.join(" | "))
    })?;
    match result {
        0 => Ok(ForkResult::Child),
        pid => Ok(ForkResult::Parent { child: Pid::from_raw(pid.try_into().context("clone")?) }),
    }
}
