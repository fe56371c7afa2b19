//! The bandwidth of disks.

use anyhow::Context;
use cgroup_cpu::controller::directory;
use cgroup_ns::Group;
use cgroup_ns::group::Version;
use cgroup_ns::hierarchy::hierarchies;
use oci_spec::runtime::LinuxThrottleDevice;

use crate::{disk, v1, v2};

/// Lets all processes of the group together write at most `rate` bytes a second to each of these
/// disks: `linux.resources.blockIO.throttleWriteBpsDevice` of the OCI's runtime configuration.
///
/// The kernel holds back what goes to the disk, and not what goes to the page cache. Whoever writes
/// past the cache (`O_DIRECT`) or waits for the disk (`fsync(2)`) is slowed down. Of the others version 2 knows, when the cache
/// is written back, whose it was, where the memory controller is there too and the file system
/// helps (ext4, btrfs, xfs …). Version 1 does not.
pub fn limit_write_bps(group: &Group, disks: &[LinuxThrottleDevice]) -> anyhow::Result<()> {
    for disk in disks {
        let (major, minor, rate) = (disk.major(), disk.minor(), disk.rate());
        let written = match directory(group, controller()?)? {
            (group, Version::V2) => v2::limit(group, major, minor, rate),
            (group, Version::V1) => v1::limit(group, major, minor, rate),
        };
        // Of what is no whole disk the kernel only says that there is no such device.
        written.with_context(|| match disk::check(major, minor) {
            Ok(()) => format!("limit the writes to disk {major}:{minor}"),
            Err(reason) => format!("limit the writes to {major}:{minor} ({reason})"),
        })?;
    }
    Ok(())
}

/// The controller was renamed for version 2.
fn controller() -> anyhow::Result<&'static str> {
    let is_v1 = hierarchies()?.iter().any(|one| one.controllers.iter().any(|name| name == "blkio"));
    Ok(if is_v1 { "blkio" } else { "io" })
}
