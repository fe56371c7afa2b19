//! Version 2: memory and swap space are counted, and limited, on their own.

use std::path::Path;

use cgroup_cpu::controller::write;

/// How much the group may have in the swap space, in bytes.
pub const SWAP: &str = "memory.swap.max";

/// Writes `memory.max`. (`memory.high` would be the gentle one: above it processes are slowed
/// down, and none is killed.)
pub fn limit_memory(group: &Path, bytes: u64) -> anyhow::Result<()> {
    write(&group.join("memory.max"), &bytes.to_string())
}

/// Writes [`SWAP`].
pub fn limit_swap(file: &Path, bytes: u64) -> anyhow::Result<()> {
    write(file, &bytes.to_string())
}
