//! From a path to the number of a whole disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use nix::sys::stat::{SFlag, major, minor, stat};

/// Major and minor number of the disk whose device node `path` is, on the host.
pub fn number(path: &Path) -> anyhow::Result<(i64, i64)> {
    let found = stat(path).map_err(|errno| anyhow!("stat {}: {errno}", path.display()))?;
    if found.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFBLK.bits() {
        bail!("{} is no block device", path.display());
    }
    let device = found.st_rdev;
    let (major, minor) = (i64::try_from(major(device))?, i64::try_from(minor(device))?);
    check(major, minor)?;
    Ok((major, minor))
}

/// Whether this is a whole disk. All its partitions share one queue of requests, and the queue is
/// where the kernel makes a group wait.
pub fn check(major: i64, minor: i64) -> anyhow::Result<()> {
    let device = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    if !device.exists() {
        bail!("the kernel has no disk of this number");
    }
    if device.join("partition").exists() {
        bail!("it is a partition, and the kernel limits whole disks only: take {}", whole(&device));
    }
    Ok(())
}

/// The disk that a partition is of: in sysfs its directory is in the disk's.
fn whole(partition: &Path) -> String {
    let place = fs::canonicalize(partition).unwrap_or_default();
    let name = place.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    // A slash in the name of a device is written so in sysfs.
    format!("/dev/{}", name.replace('!', "/"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{check, number};

    #[test]
    fn only_a_block_device_has_a_number() {
        for (path, reason) in [
            ("/no/such/disk", "stat /no/such/disk: ENOENT"),
            ("/dev/null", "is no block device"),
            ("/proc", "is no block device"),
        ] {
            let error = number(Path::new(path)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(check(4095, 4095).unwrap_err().to_string().contains("no disk"));
    }
}
