//! Which control groups a process is in, as the judge sees it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kernel::Process;
use super::trial::Trial;
use super::verdict::Broken;
use crate::sandbox::cgroups::{Hierarchy, find};

/// The controllers of version 1 that a container needs a group for.
pub const NEEDED: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "blkio"];

/// The group of one process in every hierarchy that counts, by the hierarchy's name.
pub type Groups = BTreeMap<String, Group>;

/// The group of one process in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The root of the hierarchy in the throw-away host.
    pub top: PathBuf,
    /// Its directory there.
    pub directory: PathBuf,
    /// What is said to mount(2) to get this hierarchy: a controller, nothing for version 2.
    pub controllers: String,
}

impl Group {
    /// The group's path from the root of the hierarchy.
    pub fn path(&self) -> &Path {
        self.directory.strip_prefix(&self.top).unwrap_or(&self.directory)
    }

    /// Whether it is of version 2.
    pub fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// The directories from the group up to the root of the hierarchy, which is not among them: a
    /// step may give its container several groups, one in the other.
    pub fn own(&self) -> impl Iterator<Item = &Path> {
        self.directory.ancestors().take_while(|directory| *directory != self.top)
    }
}

/// The groups of a process: on version 2 one, on version 1 one for each of [`NEEDED`]. Where the
/// throw-away host has none, no check about groups can be run.
pub fn groups(trial: &Trial, process: &Process) -> Result<Groups, Broken> {
    let found = find(&trial.host_mounts()?, &process.text("cgroup")?);
    let (v2, v1): (Vec<_>, Vec<_>) = found.into_iter().partition(Hierarchy::is_unified);
    let needed = |hierarchy: &Hierarchy| {
        hierarchy.controllers.iter().any(|name| NEEDED.contains(&name.as_str()))
    };
    let v1: Vec<_> = v1.into_iter().filter(needed).collect();
    let used = if v1.is_empty() { v2 } else { v1 };
    if used.is_empty() {
        let reason = "no control group can be made here: it takes root, or a delegated group (see \
                      `cargo workshop doctor`)";
        return Err(Broken::Unsupported(reason.into()));
    }
    Ok(used.into_iter().map(named).collect())
}

/// The group of a process in the hierarchy that has the controller. Where the throw-away host has
/// none, no check about its limits can be run.
pub fn group_with(trial: &Trial, process: &Process, controller: &str) -> Result<Group, Broken> {
    let unsupported = |reason: String| Broken::Unsupported(reason);
    let has = |group: &Group| {
        group.is_unified() || group.controllers.split(',').any(|name| name == controller)
    };
    let group = groups(trial, process)?.into_values().find(has).ok_or_else(|| {
        unsupported(format!("no hierarchy with the controller `{controller}` is mounted"))
    })?;
    // On version 1 a hierarchy has all of its controllers in every group.
    let handed_down = group.top.join("cgroup.subtree_control");
    let is_there = !group.is_unified()
        || read(&handed_down)?.split_whitespace().any(|name| name == controller);
    let reason = || {
        format!("the groups here have no controller `{controller}` (see `cargo workshop doctor`)")
    };
    is_there.then_some(group).ok_or_else(|| unsupported(reason()))
}

/// One of the files of a group.
pub fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
}

fn named(hierarchy: Hierarchy) -> (String, Group) {
    let controllers = hierarchy.controllers.join(",");
    let name = if controllers.is_empty() { "version 2".to_owned() } else { controllers.clone() };
    (name, Group { top: hierarchy.mount_point, directory: hierarchy.own, controllers })
}
