//! What the kernel has counted for a container's group, in both versions of the interface.
//!
//! The names of version 2 are in the kernel's `cgroup-v2.rst`, those of version 1 in the files of
//! `cgroup-v1/` beside it.

use std::fs;
use std::ops::Sub;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::groups::{Group, Groups, groups};
use super::kernel::Process;
use super::trial::Trial;
use super::verdict::Broken;

/// The accounts of one container.
pub struct Accounts {
    groups: Groups,
}

/// The periods in which the container wanted to run.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Periods {
    /// How many there were.
    pub all: u32,
    /// In how many of them it had to wait, because its quota was used up.
    pub throttled: u32,
}

impl Sub for Periods {
    type Output = Periods;

    /// Those that came after `earlier`.
    fn sub(self, earlier: Periods) -> Periods {
        Periods { all: self.all - earlier.all, throttled: self.throttled - earlier.throttled }
    }
}

impl Accounts {
    /// Those of the groups that this process is in.
    pub fn of(trial: &Trial, process: &Process) -> Result<Accounts, Broken> {
        Ok(Accounts { groups: groups(trial, process)? })
    }

    /// 1 or 2.
    pub fn version(&self) -> u8 {
        if self.groups.values().any(Group::is_unified) { 2 } else { 1 }
    }

    /// The CPU time that it has used.
    pub fn cpu_time(&self) -> Result<Duration> {
        let group = self.group("cpuacct")?;
        if group.is_unified() {
            Ok(Duration::from_micros(field(group, "cpu.stat", "usage_usec")?))
        } else {
            Ok(Duration::from_nanos(number(group, "cpuacct.usage")?))
        }
    }

    /// The periods of its CPU limit.
    pub fn periods(&self) -> Result<Periods> {
        let group = self.group("cpu")?;
        let field = |name| field(group, "cpu.stat", name);
        Ok(Periods { all: field("nr_periods")?, throttled: field("nr_throttled")? })
    }

    /// The memory that it has, in bytes.
    pub fn memory(&self) -> Result<u64> {
        let group = self.group("memory")?;
        let v2 = group.is_unified();
        number(group, if v2 { "memory.current" } else { "memory.usage_in_bytes" })
    }

    /// How many of its processes were killed because there was no more memory for them.
    pub fn oom_kills(&self) -> Result<u32> {
        let group = self.group("memory")?;
        let v2 = group.is_unified();
        field(group, if v2 { "memory.events" } else { "memory.oom_control" }, "oom_kill")
    }

    /// How many processes it has.
    pub fn processes(&self) -> Result<u32> {
        number(self.group("pids")?, "pids.current")
    }

    /// How many forks were refused because there were enough processes.
    pub fn refused_forks(&self) -> Result<u32> {
        field(self.group("pids")?, "pids.events", "max")
    }

    /// The group that has the accounts of a controller of version 1, or of all.
    fn group(&self, controller: &str) -> Result<&Group> {
        let has = |group: &&Group| {
            group.is_unified() || group.controllers.split(',').any(|name| name == controller)
        };
        let found = self.groups.values().find(has);
        found.with_context(|| format!("there is no hierarchy for the controller {controller}"))
    }
}

/// The number in a file that holds nothing else.
fn number<N: FromStr>(group: &Group, file: &str) -> Result<N> {
    let text = read(group, file)?;
    text.trim().parse().map_err(|_| anyhow!("{file} is {text:?}, not a number"))
}

/// A number in a file of lines that read `NAME NUMBER`.
fn field<N: FromStr>(group: &Group, file: &str, name: &str) -> Result<N> {
    let text = read(group, file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.with_context(|| format!("{file} of the container's group has no number `{name}`"))
}

fn read(group: &Group, file: &str) -> Result<String> {
    let path = group.directory.join(file);
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}
