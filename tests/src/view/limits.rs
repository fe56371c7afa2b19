//! What a container is limited to, and the options that ask for it.

use anyhow::Result;

use super::{Facet, State};
use crate::judge::account::{cpu_limit, memory_limit, pids_limit};
use crate::judge::groups::{Group, group_with};
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;

/// Something that a container gets so much of and no more.
struct Limit {
    /// What the reader calls it.
    name: &'static str,
    /// The step that brings it.
    since: u8,
    /// What limits it.
    controller: &'static str,
    /// A limit to look at.
    option: [&'static str; 2],
    /// What the kernel allows a group, in words.
    of: fn(&Group) -> Result<Option<String>>,
}

const LIMITS: [Limit; 3] = [
    Limit {
        name: "CPU time",
        since: 11,
        controller: "cpu",
        option: ["--cpus", "0.5"],
        of: |group| Ok(cpu_limit(group)?.map(|cpus| format!("at most {cpus} CPUs"))),
    },
    Limit {
        name: "memory",
        since: 12,
        controller: "memory",
        option: ["--memory", "64m"],
        of: |group| Ok(memory_limit(group)?.map(|bytes| format!("at most {} MiB", bytes >> 20))),
    },
    Limit {
        name: "process numbers",
        since: 13,
        controller: "pids",
        option: ["--pids-limit", "50"],
        of: |group| Ok(pids_limit(group)?.map(|limit| format!("at most {limit} processes"))),
    },
];

/// What a container of this step is told, so that each of its limits can be seen. Where no control
/// group can be made there are none to be seen.
pub fn options(trial: &Trial) -> Result<Vec<&'static str>> {
    let host = Process::host(trial.host)?;
    let is_known = |limit: &&Limit| {
        limit.since <= trial.subject.step.number
            && group_with(trial, &host, limit.controller).is_ok()
    };
    Ok(LIMITS.iter().filter(is_known).flat_map(|limit| limit.option).collect())
}

/// A facet for each limit.
pub fn facets(trial: &Trial, outside: &Process, inside: &Process) -> Result<Vec<Facet>> {
    LIMITS.iter().map(|limit| limit.facet(trial, outside, inside)).collect()
}

impl Limit {
    fn facet(&self, trial: &Trial, outside: &Process, inside: &Process) -> Result<Facet> {
        let limit = |process: &Process| match group_with(trial, process, self.controller) {
            Ok(group) => (self.of)(&group),
            Err(_) => Ok(None),
        };
        let [outside, inside] = [limit(outside)?, limit(inside)?];
        let state = if inside.is_some() { State::Limited } else { State::Shared };
        let shown = inside.clone().unwrap_or_else(|| "the host's".into());
        let witness = [outside, inside].map(|limit| limit.unwrap_or_else(|| "no limit".into()));
        Ok(Facet { name: self.name.into(), state, shown: vec![shown], witness })
    }
}
