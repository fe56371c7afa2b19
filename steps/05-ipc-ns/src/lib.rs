//! Step 05: message queues, semaphores and shared memory of its own.
//!
//! System V IPC objects and POSIX message queues have no path in the file system, so no root
//! directory hides them: whoever knows the key or the name, and has the permission, gets the
//! object. An IPC namespace has tables of its own for all of them (`ipc_namespaces(7)`), and when
//! its last process ends the kernel removes what is left in them.
//!
//! One function: [`own_ipc`].

use anyhow::Context;
use nix::sched::{CloneFlags, unshare};

/// Moves this process into an IPC namespace of its own, which is empty.
///
/// Before `/dev/mqueue` is mounted: a message queue file system shows the queues of the namespace
/// in which it was mounted, whoever looks (`mq_overview(7)`).
pub fn own_ipc() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWIPC).context("unshare the IPC namespace")
}
