//! The limit.

use std::time::Duration;

use cgroup_ns::Group;
use cgroup_ns::group::Version;

use crate::controller::directory;
use crate::{v1, v2};

/// Lets all processes of the group together run for `quota` in each `period`, on all CPUs. The
/// kernel takes a period from 1 ms to 1 s, and a quota from 1 ms on.
///
/// `linux.resources.cpu` of the OCI's runtime configuration has the same two numbers, in
/// microseconds.
pub fn limit_cpu(group: &Group, quota: Duration, period: Duration) -> anyhow::Result<()> {
    match directory(group, "cpu")? {
        (group, Version::V2) => v2::limit(group, quota, period),
        (group, Version::V1) => v1::limit(group, quota, period),
    }
}
