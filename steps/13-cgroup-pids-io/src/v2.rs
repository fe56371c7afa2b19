//! Version 2: one line for each disk, in which every limit has its name. What a write does not name
//! stays as it is.

use std::path::Path;

use cgroup_cpu::controller::write;

/// Writes `io.max`.
pub fn limit(group: &Path, major: i64, minor: i64, rate: u64) -> anyhow::Result<()> {
    write(&group.join("io.max"), &format!("{major}:{minor} wbps={rate}"))
}
