//! How far the clocks have to be moved.

use std::collections::HashMap;
use std::fs;

use anyhow::Context;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use oci_spec::runtime::LinuxTimeOffset;

/// The offsets of the namespace that our children will be born into; it can be written until the
/// first process is in there.
pub const OFFSETS: &str = "/proc/self/timens_offsets";

/// The clocks that a time namespace has, by the names that the kernel has for them in [`OFFSETS`].
const CLOCKS: [(&str, ClockId); 2] =
    [("monotonic", ClockId::CLOCK_MONOTONIC), ("boottime", ClockId::CLOCK_BOOTTIME)];

const NANOSECONDS: i64 = 1_000_000_000;

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct TimeOptions {
    /// How many seconds ago the container has booted, by its own clocks
    // The kernel refuses what comes near to the 292 years for which its clocks have room. These 32
    // bits end after 136.
    #[arg(long, value_name = "SECONDS")]
    pub uptime: Option<u32>,
}

/// How far each clock is moved against the machine's own: `linux.timeOffsets` of the OCI's runtime
/// configuration.
pub type Offsets = HashMap<String, LinuxTimeOffset>;

impl TimeOptions {
    /// The offsets with which both clocks show the uptime that was asked for, now.
    pub fn offsets(&self) -> anyhow::Result<Offsets> {
        let Some(uptime) = self.uptime else { return Ok(Offsets::new()) };
        let table = fs::read_to_string(OFFSETS).with_context(|| {
            format!("read {OFFSETS} (a kernel without it has no time namespaces)")
        })?;
        CLOCKS
            .into_iter()
            .map(|(name, clock)| {
                let now = clock_gettime(clock).context("clock_gettime")?;
                let already = offset_in(&table, name)
                    .with_context(|| format!("there is no {name} clock in {OFFSETS}"))?;
                Ok((name.to_owned(), offset(uptime, now, already)))
            })
            .collect()
    }
}

/// By how much a clock has to be moved that shows `now`, and is moved by `already`: in a container
/// whose clocks were moved too, a new namespace still counts from the machine's.
fn offset(uptime: u32, now: TimeSpec, already: TimeSpec) -> LinuxTimeOffset {
    let seconds = i64::from(uptime) - now.tv_sec() + already.tv_sec();
    let nanoseconds = already.tv_nsec() - now.tv_nsec();
    // Nanoseconds always count forwards: half a second back is one second back and a half forward.
    let mut offset = LinuxTimeOffset::default();
    offset.set_secs(Some(seconds + nanoseconds.div_euclid(NANOSECONDS)));
    offset.set_nanosecs(u32::try_from(nanoseconds.rem_euclid(NANOSECONDS)).ok());
    offset
}

/// The offset of one clock. A line has the clock's name, seconds and nanoseconds.
fn offset_in(table: &str, clock: &str) -> Option<TimeSpec> {
    let words = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = words.into_iter().find(|words| words.first() == Some(&clock))?;
    Some(TimeSpec::new(line.get(1)?.parse().ok()?, line.get(2)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{TimeSpec, offset, offset_in};

    #[test]
    fn an_offset_is_the_way_from_now_to_the_uptime() {
        let zero = TimeSpec::new(0, 0);
        for (uptime, now, already, due) in [
            (100, TimeSpec::new(40, 0), zero, (60, 0)),
            (10, TimeSpec::new(40, 250_000_000), zero, (-31, 750_000_000)),
            (0, TimeSpec::new(40, 0), TimeSpec::new(30, 0), (-10, 0)),
            (0, TimeSpec::new(40, 100), TimeSpec::new(-5, 900), (-45, 800)),
        ] {
            let offset = offset(uptime, now, already);
            assert_eq!((offset.secs().unwrap(), offset.nanosecs().unwrap()), due);
        }
    }

    #[test]
    fn the_kernels_table_is_read() {
        let table = "monotonic          12         5\nboottime            -3 999999999\n";
        assert_eq!(offset_in(table, "boottime"), Some(TimeSpec::new(-3, 999_999_999)));
        assert_eq!(offset_in(table, "realtime"), None);
    }
}
