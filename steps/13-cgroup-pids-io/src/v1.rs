//! Version 1: a file for each limit, and in it a line for each disk.
//!
//! It holds back who writes to the disk by himself: with `O_DIRECT`, or by waiting for it with
//! `fsync(2)`. What stays in the page cache is written back later by a thread of the kernel, in the
//! root group, and nobody limits that one. This is why `dd` without `oflag=direct` seems to ignore
//! the limit, and a good reason for version 2.

use std::path::Path;

use cgroup_cpu::controller::write;

/// Writes `blkio.throttle.write_bps_device`.
pub fn limit(group: &Path, major: i64, minor: i64, rate: u64) -> anyhow::Result<()> {
    write(&group.join("blkio.throttle.write_bps_device"), &format!("{major}:{minor} {rate}"))
}
