//! The view.

use anyhow::Context;
use nix::sched::{CloneFlags, unshare};

/// Moves this process into a cgroup namespace of its own, in which the groups that it is in *now*
/// are the roots: what lies above them and beside them has no path any more.
///
/// So it comes after [`Group::add`](crate::Group::add).
pub fn own_cgroup_view() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWCGROUP).context("unshare the cgroup namespace")
}
