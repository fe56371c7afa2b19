//! Limits between the options, the configuration and the kernel.

use std::time::Duration;

use anyhow::{Context, bail};
use cgroup_cpu::options::PERIOD;
use cgroup_cpu::{CpuOptions, limit_cpu};
use cgroup_ns::Group;
use oci_spec::runtime::{LinuxCpu, LinuxResources};
use serde_json::{Value, json};

/// Writes into a configuration how much CPU time the container gets.
pub fn describe_cpu(options: &CpuOptions, configuration: &mut Value) {
    if let Some(quota) = options.quota() {
        let [quota, period] = [quota, PERIOD].map(|time| time.as_micros());
        configuration["linux"]["resources"]["cpu"] = json!({ "quota": quota, "period": period });
    }
}

/// Limits the group as the configuration says. What it asks for beyond that is refused: a limit
/// that is read and not set would be worse than none.
pub fn limit(group: &Group, resources: &LinuxResources) -> anyhow::Result<()> {
    let mut rest = resources.clone();
    if let Some(cpu) = rest.cpu().clone() {
        rest.set_cpu(cpu_time(group, cpu)?);
    }
    refuse(&rest)
}

/// Limits the CPU time, and returns what is left to do.
fn cpu_time(group: &Group, mut cpu: LinuxCpu) -> anyhow::Result<Option<LinuxCpu>> {
    let (quota, period) = (cpu.quota(), cpu.period());
    // No quota, or -1, is no limit.
    if let Some(quota) = quota.and_then(|quota| u64::try_from(quota).ok()) {
        let period = period.map_or(PERIOD, Duration::from_micros);
        limit_cpu(group, Duration::from_micros(quota), period)?;
    }
    cpu.set_quota(None);
    cpu.set_period(None);
    Ok(Some(cpu).filter(|rest| *rest != LinuxCpu::default()))
}

fn refuse(rest: &LinuxResources) -> anyhow::Result<()> {
    if *rest != LinuxResources::default() {
        let rest = serde_json::to_string(rest).context("write the limits as JSON")?;
        bail!("the configuration's resources have {rest}: not supported yet");
    }
    Ok(())
}
