//! The number of processes.

use cgroup_cpu::controller::{directory, write};
use cgroup_ns::Group;

/// More process numbers than this no kernel hands out on a 64-bit machine (`PID_MAX_LIMIT`), and as
/// a limit it takes no more either.
pub const MOST: u32 = 1 << 22;

/// Lets the group have at most `limit` processes at a time. Threads count, and so do processes that
/// have ended and that nobody has waited for.
///
/// Counted is what *forks*: the kernel lets us move a process into a group that is full, so the
/// command, which is moved, is the first of them, and even a limit of 1 lets it run. With `--init`
/// the first is the init. What would be one too many is refused with EAGAIN.
///
/// Both versions have the same file. It is `linux.resources.pids.limit` in the OCI's runtime
/// configuration.
pub fn limit_pids(group: &Group, limit: u32) -> anyhow::Result<()> {
    let (group, _) = directory(group, "pids")?;
    write(&group.join("pids.max"), &limit.to_string())
}
