//! The sandbox's group in one hierarchy.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{MEMORY, PROCESSES};
use crate::sandbox::cgroups::Hierarchy;
use crate::sandbox::lease::Lease;

/// What a container needs of version 1.
const V1: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "blkio"];
/// And of version 2.
const V2: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// The group below ours in which the programs run, on version 2: there a group hands controllers
/// down or has processes, but never both (the kernel's `cgroup-v2.rst`).
const LEAF: &str = "leaf";

/// Its group in one hierarchy.
pub struct Member {
    /// The hierarchy.
    pub hierarchy: Hierarchy,
    directory: Lease,
}

impl Member {
    /// Makes the group, if this hierarchy has what a container needs, and the caller may.
    pub fn make(hierarchy: Hierarchy) -> Option<Member> {
        if !has_any(&hierarchy) {
            return None;
        }
        let places: Vec<&Path> = hierarchy.parents().collect();
        let group = |parent: &&Path| group_in(parent, &hierarchy);
        let complete = places.iter().filter_map(group).find(|it| has_all(it.path(), &hierarchy));
        let directory = complete.or_else(|| places.iter().find_map(group))?;
        Some(Member { hierarchy, directory })
    }

    /// Opens the file to which a process writes 0 to join the group.
    pub fn entrance(&self) -> io::Result<File> {
        door(self.directory.path())
    }

    /// The same for the programs.
    pub fn door(&self) -> io::Result<File> {
        door(&place_for_programs(&self.hierarchy, self.directory.path()))
    }

    /// The same for the group that the caller is in.
    pub fn way_back(&self) -> io::Result<File> {
        door(&self.hierarchy.own)
    }

    /// Has the group hand its controllers down. From then on no process can join it.
    pub fn hand_down(&self) {
        hand_down(self.directory.path(), &self.hierarchy);
    }
}

fn door(group: &Path) -> io::Result<File> {
    File::options().write(true).open(group.join("cgroup.procs"))
}

fn place_for_programs(hierarchy: &Hierarchy, group: &Path) -> PathBuf {
    if hierarchy.is_unified() { group.join(LEAF) } else { group.to_owned() }
}

/// A group below `parent`, with its limits.
fn group_in(parent: &Path, hierarchy: &Hierarchy) -> Option<Lease> {
    hand_down(parent, hierarchy);
    let group = Lease::take(parent, remove).ok()?;
    // Whatever is inside may look at it.
    fs::set_permissions(group.path(), Permissions::from_mode(0o755)).ok()?;
    let limits = |name: &String| ["memory", "pids"].contains(&name.as_str());
    let has_limits = hierarchy.is_unified() || hierarchy.controllers.iter().any(limits);
    if has_limits && !limit(group.path()) {
        return None;
    }
    fs::create_dir_all(place_for_programs(hierarchy, group.path())).ok()?;
    Some(group)
}

/// Has a group hand down what it can of what a container needs.
fn hand_down(group: &Path, hierarchy: &Hierarchy) {
    for controller in V2.iter().filter(|_| hierarchy.is_unified()) {
        // One that it does not have is refused, and so is any while it has processes.
        let _ = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

/// Whether a hierarchy has anything that a container needs. Beside version 1 the unified hierarchy
/// often has nothing.
fn has_any(hierarchy: &Hierarchy) -> bool {
    if hierarchy.is_unified() {
        let there = controllers(&hierarchy.mount_point);
        V2.iter().any(|name| there.iter().any(|one| one == name))
    } else {
        hierarchy.controllers.iter().any(|name| V1.contains(&name.as_str()))
    }
}

/// Whether a group has every controller that a container needs of its hierarchy.
fn has_all(group: &Path, hierarchy: &Hierarchy) -> bool {
    let there = controllers(group);
    !hierarchy.is_unified() || V2.iter().all(|name| there.iter().any(|one| one == name))
}

/// The controllers that a group of version 2 has.
fn controllers(group: &Path) -> Vec<String> {
    let there = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
    there.split_whitespace().map(str::to_owned).collect()
}

/// Writes whatever limits this group knows; false if it knows neither of memory nor of processes.
fn limit(group: &Path) -> bool {
    let (memory, processes) = (MEMORY.to_string(), PROCESSES.to_string());
    let write = |file: &str, value: &str| {
        group.join(file).exists() && fs::write(group.join(file), value).is_ok()
    };
    let limited = [
        write("memory.max", &memory),
        write("memory.limit_in_bytes", &memory),
        write("pids.max", &processes),
    ];
    // Swapping what is inside would only slow the host down. On version 1 this is memory and swap
    // together; a kernel that accounts no swap has neither file.
    write("memory.swap.max", "0");
    write("memory.memsw.limit_in_bytes", &memory);
    limited.contains(&true)
}

/// Removes a group and what the program made below it.
fn remove(group: &Path) -> io::Result<()> {
    for below in fs::read_dir(group)? {
        let below = below?;
        if below.file_type()?.is_dir() {
            remove(&below.path())?;
        }
    }
    fs::remove_dir(group)
}
