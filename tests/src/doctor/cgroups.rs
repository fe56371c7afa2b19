//! Control groups: which version, which controllers, and whether the caller may make groups.

use super::{Finding, trial::Privilege};
use nix::{
    fcntl::{AT_FDCWD, AtFlags},
    unistd::{AccessFlags, faccessat},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What the steps cgroup-cpu, cgroup-memory and cgroup-pids-io write to, in each version.
const NEEDED_V1: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "blkio"];
const NEEDED_V2: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// A mounted hierarchy of cgroups.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    version: u8,
    /// Of version 1 what it is mounted for; of version 2 the file `cgroup.controllers` tells.
    controllers: Vec<String>,
    mount_point: PathBuf,
    /// The directory of the group that we are in.
    own: PathBuf,
}

/// Looks which layout this host has, and what of it the caller may use.
pub fn examine(privilege: Privilege) -> Vec<Finding> {
    let hierarchies = hierarchies(
        &fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
        &fs::read_to_string("/proc/self/cgroup").unwrap_or_default(),
    );
    let (v2, v1): (Vec<_>, Vec<_>) = hierarchies.into_iter().partition(|h| h.version == 2);
    let v1: Vec<_> = v1.into_iter().filter(|h| h.controllers.iter().any(|c| is_needed(c))).collect();
    if !v1.is_empty() {
        let hybrid = if v2.is_empty() { "" } else { " (version 2 is mounted too, without controllers)" };
        return vec![
            Finding::ok("cgroups", format!("version 1{hybrid}")),
            controllers_v1(&v1),
            delegation(privilege, &v1),
        ];
    }
    let Some(unified) = v2.first() else {
        return vec![Finding::missing(
            "cgroups",
            "no hierarchy is mounted; the steps from cgroup-ns on need one",
            "sudo mount -t cgroup2 none /sys/fs/cgroup",
        )];
    };
    vec![
        Finding::ok("cgroups", format!("version 2 at {}", unified.mount_point.display())),
        controllers_v2(privilege, unified),
        delegation(privilege, &v2),
    ]
}
