//! Version 1: quota and period are in two files, in microseconds. -1 as the quota is no limit.

use std::path::Path;
use std::time::Duration;

use crate::controller::write;

/// Writes the period, then the quota: while there is no quota, no period is wrong. With the other
/// order the new quota would for a moment count in the old period, and would be refused if that
/// were more than the group above has got. (Version 2 lets the smaller one decide.)
pub fn limit(group: &Path, quota: Duration, period: Duration) -> anyhow::Result<()> {
    write(&group.join("cpu.cfs_period_us"), &period.as_micros().to_string())?;
    write(&group.join("cpu.cfs_quota_us"), &quota.as_micros().to_string())
}
