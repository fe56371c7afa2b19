//! The machine on which something was measured, in the few words that matter.

use std::fmt;

use anyhow::{Context, Result};
use nix::sys::utsname::uname;
use nix::unistd::{SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

use crate::judge::groups::Group;

/// What a measurement depends on.
#[derive(Serialize, Deserialize)]
pub struct Machine {
    /// The number of its kernel's release, `6.12.48`.
    kernel: String,
    /// The version of the control groups that limited the container.
    cgroup: u8,
    /// How many CPUs run.
    cpus: i64,
}

impl Machine {
    /// This one, on which a container was in this group.
    pub fn with(group: &Group) -> Result<Machine> {
        let release = uname().context("uname")?.release().to_string_lossy().into_owned();
        // What follows the number is the distributor's.
        let kernel = release.split(['-', '+']).next().unwrap_or_default().to_owned();
        let cpus = sysconf(SysconfVar::_NPROCESSORS_ONLN).context("sysconf")?;
        let cgroup = if group.is_unified() { 2 } else { 1 };
        Ok(Machine { kernel, cgroup, cpus: cpus.context("count the CPUs")? })
    }

    /// One that there may be somewhere.
    #[cfg(test)]
    pub fn example() -> Machine {
        Machine { kernel: "6.12.48".into(), cgroup: 2, cpus: 4 }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { kernel, cgroup, cpus } = self;
        write!(f, "measured on Linux {kernel}, cgroup version {cgroup}, CPUs: {cpus}")
    }
}
