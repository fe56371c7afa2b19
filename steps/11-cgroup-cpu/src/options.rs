//! From a number of CPUs to a quota.

use std::time::Duration;

use anyhow::{Context, bail};
use cgroup_ns::Group;
use nix::unistd::{SysconfVar, sysconf};

use crate::limit::limit_cpu;

/// The kernel's own choice, and Docker's. With a short period the scheduler has more to do; with a
/// long one, a group that has used its quota up stands still for longer.
pub const PERIOD: Duration = Duration::from_millis(100);

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct CpuOptions {
    /// How much CPU time the container gets at most: 0.5 is half of one CPU
    #[arg(long, value_name = "NUMBER", value_parser = cpus)]
    pub cpus: Option<f64>,
}

impl CpuOptions {
    /// The quota of each [`PERIOD`], if there is to be one.
    #[must_use]
    pub fn quota(&self) -> Option<Duration> {
        self.cpus.map(|cpus| PERIOD.mul_f64(cpus))
    }

    /// Limits the group as the options say.
    pub fn limit(&self, group: &Group) -> anyhow::Result<()> {
        self.quota().map_or(Ok(()), |quota| limit_cpu(group, quota, PERIOD))
    }
}

/// A number of CPUs, of those that there are.
fn cpus(text: &str) -> anyhow::Result<f64> {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).context("count the CPUs")?;
    let online = u32::try_from(online.unwrap_or(1)).context("count the CPUs")?;
    checked(text, online)
}

/// A quota of less than a millisecond is refused by the kernel: that is 0.01 CPUs. More than all
/// CPUs would be no limit, and is a mistake. (Text such as `nan` is a number to Rust, which no
/// range contains.)
fn checked(text: &str, online: u32) -> anyhow::Result<f64> {
    let cpus: f64 = text.parse().context("it is no number")?;
    if !(0.01..=f64::from(online)).contains(&cpus) {
        bail!("it is not between 0.01 and {online}, the number of CPUs");
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::{CpuOptions, Duration, checked};

    #[test]
    fn a_number_of_cpus_is_a_quota() {
        for (text, microseconds) in
            [("0.01", 1000), ("0.2", 20_000), (".29", 29_000), ("1", 100_000), ("1.5", 150_000)]
        {
            let options = CpuOptions { cpus: checked(text, 4).ok() };
            assert_eq!(options.quota(), Some(Duration::from_micros(microseconds)), "{text}");
        }
        assert_eq!(CpuOptions { cpus: None }.quota(), None);
    }

    #[test]
    fn what_is_no_share_of_the_cpus_is_refused() {
        for text in ["0", "0.001", "0.0099", "-1", "4.01", "99", "nan", "inf", "1e9", "", "two"] {
            assert!(checked(text, 4).is_err(), "{text}");
        }
        assert!(checked("4", 4).is_ok());
    }
}
