//! Version 2: quota and period are in one file, in microseconds. `max` as the quota is no limit.

use std::path::Path;
use std::time::Duration;

use crate::controller::write;

/// Writes `cpu.max`: both at once, so that there is no moment with one of them only.
pub fn limit(group: &Path, quota: Duration, period: Duration) -> anyhow::Result<()> {
    write(&group.join("cpu.max"), &format!("{} {}", quota.as_micros(), period.as_micros()))
}
