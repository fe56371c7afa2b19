//! A child with namespaces of its own from its first instruction.
//!
//! unshare(2) would not do: it moves the *children* of the caller into the new PID namespace and
//! leaves the caller outside, since a process keeps its number for life.

use std::convert::Infallible;
use std::mem;

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

/// clone3(2) without a stack of the child's own: then it returns twice, like fork(2).
fn clone(flags: CloneFlags) -> anyhow::Result<ForkResult> {
    // SAFETY: all zero is a valid clone_args, which holds only numbers; zero means "not wanted".
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = flags.bits().cast_unsigned().into();
    arguments.exit_signal = libc::SIGCHLD.cast_unsigned().into();
    let size = size_of::<libc::clone_args>();
    // SAFETY: a step has a single thread, so no lock that the child may need is held by another
    // one; the arguments have the size given and ask for nothing to be shared.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size) };
    match Errno::result(result).context("clone3")? {
        0 => Ok(ForkResult::Child),
        pid => Ok(ForkResult::Parent { child: Pid::from_raw(pid.try_into().context("clone3")?) }),
    }
}
