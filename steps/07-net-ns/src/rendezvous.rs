//! The rendezvous of parent and child.
//!
//! From this step on the parent has work that it can only do when the child is there, and that must
//! be done before the child goes on: a network interface goes into the child's namespace, ids are
//! mapped (step 08), the child joins a group (step 10). So the child begins by waiting.
//!
//! The two are connected by a pair of sockets. A byte means "go on". When one of the two dies, the
//! kernel closes its end, and the other one reads the end of the file instead: nobody waits for
//! ever, and nobody has to look at a clock.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use anyhow::Context;
use fork_exec::{Child, exit};
use nix::sched::CloneFlags;
use nix::unistd::{Pid, close};
use pid_ns::spawn;

/// A child that waits before it does anything. Dropped without [`release`](Waiting::release), it
/// ends.
pub struct Waiting {
    child: Child,
    gate: UnixStream,
}

/// Runs `child` in a new process, as [`spawn`](pid_ns::spawn()) does, but only after
/// [`Waiting::release`].
pub fn spawn_waiting(
    flags: CloneFlags,
    child: impl FnOnce() -> anyhow::Result<Infallible>,
) -> anyhow::Result<Waiting> {
    let (gate, childs_end) = UnixStream::pair().context("socketpair")?;
    let parents_end = gate.as_raw_fd();
    let child = spawn(flags, move || {
        wait_at(childs_end, parents_end)?;
        child()
    })?;
    // The child's end went with the closure, so only the child has it now.
    Ok(Waiting { child, gate })
}

/// Waits until the parent says that it is done.
fn wait_at(mut gate: UnixStream, parents_end: RawFd) -> anyhow::Result<()> {
    // The fork has copied it. As long as we hold a copy, the end of the file will not come.
    close(parents_end).context("close the parent's end of a socket")?;
    match gate.read(&mut [0]).context("wait for the parent")? {
        // It failed, and has said why, or it was killed.
        0 => exit(0),
        _ => Ok(()),
    }
}

impl Waiting {
    /// The child's process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.child.pid
    }

    /// Lets the child go on.
    pub fn release(mut self) -> anyhow::Result<Child> {
        match self.gate.write_all(&[1]) {
            Ok(()) => {}
            // The child is dead already, and its status will say so.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error).context("release the child"),
        }
        Ok(self.child)
    }
}
