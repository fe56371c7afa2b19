//! The limits.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use cgroup_cpu::controller::directory;
use cgroup_ns::Group;
use cgroup_ns::group::Version;

use crate::{v1, v2};

/// Limits the memory that all processes of the group together may use, in bytes: `memory.limit` of
/// the OCI's runtime configuration. The kernel rounds it down to whole pages.
///
/// Who goes over it is killed, and the kernel chooses the biggest. (Version 2 can be told to kill
/// the whole group instead, by `memory.oom.group`. Version 1 cannot, and Docker does not: a shell
/// whose compiler was killed can say so.)
pub fn limit_memory(group: &Group, bytes: u64) -> anyhow::Result<()> {
    match directory(group, "memory")? {
        (group, Version::V2) => v2::limit_memory(group, bytes),
        (group, Version::V1) => v1::limit_memory(group, bytes),
    }
}

/// Limits memory and swap space together to `total` bytes, of which `memory` are the limit of the
/// memory, set before: `memory.swap` of the OCI's runtime configuration. Without this a group that
/// has reached its limit goes on growing in the swap space.
pub fn limit_swap(group: &Group, memory: u64, total: u64) -> anyhow::Result<()> {
    let Some(swap) = total.checked_sub(memory) else {
        bail!("limit memory and swap to {total} bytes: that is less than {memory} of memory alone");
    };
    let (group, version) = directory(group, "memory")?;
    let file = match version {
        Version::V2 => group.join(v2::SWAP),
        Version::V1 => group.join(v1::MEMORY_AND_SWAP),
    };
    if !file.exists() {
        return without_accounting(&file);
    }
    match version {
        Version::V2 => v2::limit_swap(&file, swap),
        Version::V1 => v1::limit_memory_and_swap(&file, total),
    }
}

/// A kernel that does not count swap space by groups has no file for it. Where the machine has no
/// swap space the limit holds all the same. (If somebody adds some while the container runs it does
/// not any more.)
fn without_accounting(file: &Path) -> anyhow::Result<()> {
    let list = "/proc/swaps";
    // Without any support for swapping, there is no such file either.
    let swaps = if Path::new(list).exists() {
        fs::read_to_string(list).with_context(|| format!("read {list}"))?
    } else {
        String::new()
    };
    // The first line is a heading.
    if let Some(swap) = swaps.lines().nth(1) {
        let swap = swap.split_whitespace().next().unwrap_or_default();
        bail!(
            "limit the swap space: there is no {} (this kernel does not count it by groups: boot \
             it with swapaccount=1, or swapoff {swap})",
            file.display()
        );
    }
    Ok(())
}
