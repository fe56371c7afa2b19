//! The options, and what they take.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use cgroup_memory::options::size;
use cgroup_ns::Group;
use oci_spec::runtime::{LinuxThrottleDevice, LinuxThrottleDeviceBuilder};

use crate::disk;
use crate::io::limit_write_bps;
use crate::pids::{MOST, limit_pids};

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct PidsIoOptions {
    /// How many processes the container has at most, threads and the command included
    #[arg(long, value_name = "NUMBER", value_parser = pids, allow_negative_numbers = true)]
    pub pids_limit: Option<u32>,
    /// How much the container writes to a disk in a second, as in /dev/sda:1mb; may be repeated
    #[arg(long, value_name = "DISK:RATE", value_parser = write_bps)]
    pub device_write_bps: Vec<LinuxThrottleDevice>,
}

impl PidsIoOptions {
    /// Limits the group as the options say.
    pub fn limit(&self, group: &Group) -> anyhow::Result<()> {
        if let Some(limit) = self.pids_limit {
            limit_pids(group, limit)?;
        }
        limit_write_bps(group, &self.device_write_bps)
    }
}

/// A number of processes. Docker also takes 0 and -1, for no limit; here that is said by saying
/// nothing.
fn pids(text: &str) -> anyhow::Result<u32> {
    let limit: i64 = text.parse().map_err(|_| anyhow!("it is no whole number"))?;
    if limit < 1 {
        bail!("the command counts, so 1 is the least (leave the option out for no limit)");
    }
    let limit = u32::try_from(limit).ok().filter(|limit| *limit <= MOST);
    limit.with_context(|| format!("the kernel has no more than {MOST} process numbers"))
}

/// A disk and a rate. Only the last colon separates the two: names in `/dev/disk/by-path` have
/// colons too.
fn write_bps(text: &str) -> anyhow::Result<LinuxThrottleDevice> {
    let (path, rate) = text.rsplit_once(':').context("it is not DISK:RATE, as in /dev/sda:1mb")?;
    let rate = rate_of(rate)?;
    let (major, minor) = disk::number(Path::new(path))?;
    Ok(LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(rate).build()?)
}

/// Bytes a second. Docker writes the units of a rate with two letters, and takes those with one.
fn rate_of(text: &str) -> anyhow::Result<u64> {
    let lower = text.to_ascii_lowercase();
    let has_two = ["kb", "mb", "gb"].iter().any(|unit| lower.ends_with(unit));
    let rate = size(&lower[..lower.len() - usize::from(has_two)])
        .map_err(|error| anyhow!("the rate '{text}': {error}"))?;
    // Version 1 would take 0, and lift the limit.
    if rate == 0 {
        bail!("with a rate of 0 nothing could ever be written");
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::{MOST, pids, rate_of};

    #[test]
    fn a_limit_is_one_process_or_more() {
        for (text, limit) in [("1", 1), ("16", 16), ("4194304", MOST)] {
            assert_eq!(pids(text).unwrap(), limit);
        }
        for text in ["0", "-1", "4194305", "99999999999", "99999999999999999999", "1.5", "", "ten"]
        {
            assert!(pids(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_has_dockers_units() {
        for (text, rate) in [
            ("1", 1),
            ("512b", 512),
            ("1k", 1024),
            ("20kb", 20 << 10),
            ("3mb", 3 << 20),
            ("3M", 3 << 20),
            ("2GB", 2 << 30),
        ] {
            assert_eq!(rate_of(text).unwrap(), rate, "{text}");
        }
        for text in
            ["", "mb", "0", "0mb", "-1", "1.5mb", "1tb", "1 mb", "mb1", "18446744073709551616"]
        {
            assert!(rate_of(text).is_err(), "{text}");
        }
        assert!(rate_of("17179869184gb").is_err(), "2^64 bytes");
    }
}
