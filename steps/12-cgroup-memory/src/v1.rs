//! Version 1: swap space is counted together with the memory.

use std::path::Path;

use cgroup_cpu::controller::write;

/// How much the group may have in memory and swap space together, in bytes.
pub const MEMORY_AND_SWAP: &str = "memory.memsw.limit_in_bytes";

/// Writes `memory.limit_in_bytes`.
pub fn limit_memory(group: &Path, bytes: u64) -> anyhow::Result<()> {
    write(&group.join("memory.limit_in_bytes"), &bytes.to_string())
}

/// Writes [`MEMORY_AND_SWAP`], after the limit of the memory: it may never be the smaller one of
/// the two, and the kernel refuses with EINVAL what would make it so.
pub fn limit_memory_and_swap(file: &Path, bytes: u64) -> anyhow::Result<()> {
    write(file, &bytes.to_string())
}
