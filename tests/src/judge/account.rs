//! What the kernel counts for a control group, and what it allows it, on either version.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::groups::{Group, read};

/// What the processes of a group have had of the CPUs' time.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    /// All of them together, on all CPUs.
    pub used: Duration,
    /// How many periods have passed in which there was a limit.
    pub periods: u64,
    /// In how many of them the limit was reached.
    pub throttled: u64,
}

impl CpuTime {
    /// Reads it: of version 2 `cpu` is all that is needed.
    pub fn of(cpu: &Group, cpuacct: &Group) -> Result<CpuTime> {
        let used = if cpu.is_unified() {
            Duration::from_micros(field(&cpu.directory, "cpu.stat", "usage_usec")?)
        } else {
            Duration::from_nanos(number(&cpuacct.directory.join("cpuacct.usage"))?)
        };
        let (mut periods, mut throttled) = (0, 0);
        for group in cpu.own() {
            // Read once, so that both are of the same moment.
            let stat = read(&group.join("cpu.stat"))?;
            periods += value_of(&stat, "nr_periods")?;
            throttled += value_of(&stat, "nr_throttled")?;
        }
        Ok(CpuTime { used, periods, throttled })
    }

    /// What has been added since.
    pub fn since(self, before: CpuTime) -> CpuTime {
        CpuTime {
            used: self.used.saturating_sub(before.used),
            periods: self.periods - before.periods,
            throttled: self.throttled - before.throttled,
        }
    }
}

/// How many CPUs a group may use, if it is limited.
pub fn cpu_limit(cpu: &Group) -> Result<Option<f64>> {
    let limits = cpu.own().map(|group| limit_of_cpus(group, cpu.is_unified()));
    let limits: Vec<Option<f64>> = limits.collect::<Result<_>>()?;
    Ok(limits.into_iter().flatten().min_by(f64::total_cmp))
}

/// The same, of one directory.
pub fn limit_of_cpus(directory: &Path, is_unified: bool) -> Result<Option<f64>> {
    let text = if is_unified {
        // The root of all groups has none.
        fs::read_to_string(directory.join("cpu.max")).unwrap_or_default()
    } else {
        let [quota, period] =
            ["cpu.cfs_quota_us", "cpu.cfs_period_us"].map(|file| read(&directory.join(file)));
        format!("{} {}", quota?.trim(), period?.trim())
    };
    let numbers = text.trim().split_once(' ');
    // `max` is no number, and -1 no limit.
    let limit = numbers.and_then(|(quota, period)| {
        Some(quota.parse::<f64>().ok().filter(|quota| *quota > 0.0)? / period.parse::<f64>().ok()?)
    });
    Ok(limit)
}

/// How much memory a group may use, in bytes, if it is limited.
pub fn memory_limit(memory: &Group) -> Result<Option<u64>> {
    let file = if memory.is_unified() { "memory.max" } else { "memory.limit_in_bytes" };
    least(memory, file)
}

/// How much swap space a group may use, in bytes, if it is limited.
pub fn swap_limit(memory: &Group) -> Result<Option<u64>> {
    let limit = least(memory, swap_file(memory))?;
    // On version 1 it is the limit of memory and swap space together.
    let in_memory = if memory.is_unified() { 0 } else { memory_limit(memory)?.unwrap_or(0) };
    Ok(limit.map(|limit| limit.saturating_sub(in_memory)))
}

/// Whether this kernel counts swap space by groups.
pub fn counts_swap(memory: &Group) -> bool {
    memory.directory.join(swap_file(memory)).exists()
}

fn swap_file(memory: &Group) -> &'static str {
    if memory.is_unified() { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" }
}

/// How much memory a group uses, in bytes.
pub fn memory_used(memory: &Group) -> Result<u64> {
    let file = if memory.is_unified() { "memory.current" } else { "memory.usage_in_bytes" };
    number(&memory.directory.join(file))
}

/// How many processes of a group the kernel has killed because it had no memory left.
pub fn killed_for_memory(memory: &Group) -> Result<u64> {
    let file = if memory.is_unified() { "memory.events" } else { "memory.oom_control" };
    // A step may have the kernel kill all of the container at once (`memory.oom.group`), which
    // takes the group along. On version 2 the group above it has the same count.
    let above = memory.directory.parent().filter(|_| !memory.directory.exists());
    field(above.unwrap_or(&memory.directory), file, "oom_kill")
}

/// How many processes a group may have, if it is limited.
pub fn pids_limit(pids: &Group) -> Result<Option<u64>> {
    least(pids, "pids.max")
}

/// How many processes a group has.
pub fn processes(pids: &Group) -> Result<u64> {
    number(&pids.directory.join("pids.current"))
}

/// How many forks of a group's processes the kernel has refused because there were enough.
pub fn refused_forks(pids: &Group) -> Result<u64> {
    field(&pids.directory, "pids.events", "max")
}

/// How many bytes a second a group may write to each disk that has a limit, by its numbers: `8:0`.
pub fn write_limits(io: &Group) -> Result<BTreeMap<String, u64>> {
    let file = if io.is_unified() { "io.max" } else { "blkio.throttle.write_bps_device" };
    let mut limits = BTreeMap::new();
    for group in io.own() {
        let text = read(&group.join(file))?;
        for (disk, rates) in text.lines().filter_map(|line| line.split_once(' ')) {
            let named = rates.split(' ').find_map(|rate| rate.strip_prefix("wbps="));
            let rate = if io.is_unified() { named.unwrap_or("max") } else { rates };
            // `max` is no number, and no limit.
            let Ok(rate) = rate.parse::<u64>() else { continue };
            limits
                .entry(disk.to_owned())
                .and_modify(|least| *least = rate.min(*least))
                .or_insert(rate);
        }
    }
    Ok(limits)
}

/// How many bytes a group has written to a disk.
pub fn bytes_written(io: &Group, disk: &str) -> Result<u64> {
    let (file, name) = if io.is_unified() {
        ("io.stat", "wbytes=")
    } else {
        ("blkio.throttle.io_service_bytes", "Write ")
    };
    let text = read(&io.directory.join(file))?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(disk)?.strip_prefix(' '));
    let count = |line: &str| line.split_once(name)?.1.split(' ').next()?.parse().ok();
    Ok(lines.find_map(count).unwrap_or(0))
}

/// The least of the limits in the file of this name, from the group up. `max`, and what no machine
/// has, is no limit.
fn least(group: &Group, file: &str) -> Result<Option<u64>> {
    let limit = |directory: &Path| Ok(read(&directory.join(file))?.trim().parse().ok());
    let limits: Vec<Option<u64>> = group.own().map(limit).collect::<Result<_>>()?;
    Ok(limits.into_iter().flatten().filter(|limit| *limit < 1 << 62).min())
}

/// A file that holds one number.
pub fn number(file: &Path) -> Result<u64> {
    let text = read(file)?;
    text.trim().parse().with_context(|| format!("{} is {text:?}", file.display()))
}

/// The number behind a name in a file that has such a pair in each line.
fn field(group: &Path, file: &str, name: &str) -> Result<u64> {
    let path = group.join(file);
    value_of(&read(&path)?, name).with_context(|| format!("read {}", path.display()))
}

/// The same, of the text of such a file.
fn value_of(text: &str, name: &str) -> Result<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.with_context(|| format!("there is no {name} in {text:?}"))?;
    value.parse().with_context(|| format!("{name} is {value:?}"))
}
