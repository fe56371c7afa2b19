//! Limits between the options, the configuration and the kernel.

use std::time::Duration;

use anyhow::{Context, bail};
use cgroup_cpu::options::PERIOD;
use cgroup_cpu::{CpuOptions, limit_cpu};
use cgroup_memory::{MemoryOptions, limit_memory, limit_swap};
use cgroup_ns::Group;
use cgroup_pids_io::{PidsIoOptions, limit_pids, limit_write_bps};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};
use serde_json::{Value, json};

/// Writes into a configuration how much CPU time the container gets.
pub fn describe_cpu(options: &CpuOptions, configuration: &mut Value) {
    if let Some(quota) = options.quota() {
        let [quota, period] = [quota, PERIOD].map(|time| time.as_micros());
        configuration["linux"]["resources"]["cpu"] = json!({ "quota": quota, "period": period });
    }
}

/// Writes into a configuration how much memory the container gets: as much, swap space included.
pub fn describe_memory(options: &MemoryOptions, configuration: &mut Value) {
    if let Some(limit) = options.memory {
        let memory = json!({ "limit": limit, "swap": limit });
        configuration["linux"]["resources"]["memory"] = memory;
    }
}

/// Writes into a configuration how many processes the container has, and how fast it writes.
pub fn describe_pids_io(options: &PidsIoOptions, configuration: &mut Value) {
    if let Some(limit) = options.pids_limit {
        configuration["linux"]["resources"]["pids"] = json!({ "limit": limit });
    }
    let disks = &options.device_write_bps;
    if !disks.is_empty() {
        let block_io = json!({ "throttleWriteBpsDevice": disks });
        configuration["linux"]["resources"]["blockIO"] = block_io;
    }
}

/// Limits the group as the configuration says. What it asks for beyond that is refused: a limit
/// that is read and not set would be worse than none.
pub fn limit(group: &Group, resources: &LinuxResources) -> anyhow::Result<()> {
    let mut rest = resources.clone();
    if let Some(cpu) = rest.cpu().clone() {
        rest.set_cpu(cpu_time(group, cpu)?);
    }
    if let Some(memory) = *rest.memory() {
        rest.set_memory(memory_and_swap(group, memory)?);
    }
    if let Some(pids) = rest.pids() {
        processes(group, pids.limit())?;
        rest.set_pids(None);
    }
    if let Some(block_io) = rest.block_io().clone() {
        rest.set_block_io(writes(group, block_io)?);
    }
    refuse(&rest)
}

/// Limits the CPU time, and returns what is left to do.
fn cpu_time(group: &Group, mut cpu: LinuxCpu) -> anyhow::Result<Option<LinuxCpu>> {
    let (quota, period) = (cpu.quota(), cpu.period());
    if let Some(quota) = limit_of(quota) {
        let period = period.map_or(PERIOD, Duration::from_micros);
        limit_cpu(group, Duration::from_micros(quota), period)?;
    }
    cpu.set_quota(None);
    cpu.set_period(None);
    Ok(Some(cpu).filter(|rest| *rest != LinuxCpu::default()))
}

/// Limits the memory, and returns what is left to do.
fn memory_and_swap(group: &Group, mut memory: LinuxMemory) -> anyhow::Result<Option<LinuxMemory>> {
    if let Some(limit) = limit_of(memory.limit()) {
        limit_memory(group, limit)?;
        if let Some(total) = limit_of(memory.swap()) {
            limit_swap(group, limit, total)?;
        }
        memory.set_swap(None);
    }
    memory.set_limit(None);
    Ok(Some(memory).filter(|rest| *rest != LinuxMemory::default()))
}

/// Limits the number of processes. To runc, and so to its configurations, 0 is no limit either.
fn processes(group: &Group, limit: i64) -> anyhow::Result<()> {
    if limit < 1 {
        return Ok(());
    }
    let limit = u32::try_from(limit);
    limit_pids(group, limit.context("the configuration's limit of processes has over 32 bits")?)
}

/// Limits the writes to disks, and returns what is left to do.
fn writes(group: &Group, mut block_io: LinuxBlockIo) -> anyhow::Result<Option<LinuxBlockIo>> {
    limit_write_bps(group, block_io.throttle_write_bps_device().as_deref().unwrap_or_default())?;
    block_io.set_throttle_write_bps_device(None);
    Ok(Some(block_io).filter(|rest| *rest != LinuxBlockIo::default()))
}

/// To the specification -1 is as good as none.
fn limit_of(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok())
}

fn refuse(rest: &LinuxResources) -> anyhow::Result<()> {
    if *rest != LinuxResources::default() {
        let rest = serde_json::to_string(rest).context("write the limits as JSON")?;
        bail!("the configuration's resources have {rest}: not supported yet");
    }
    Ok(())
}
