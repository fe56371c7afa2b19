//! A control group for everything inside of one sandbox, where the caller may make one.
//!
//! On cgroup version 1 there is one group in each of the `memory` and `pids` hierarchies, on
//! version 2 a single one (`cgroups(7)`).

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::cgroups::{Hierarchy, hierarchies};
use super::lease::Lease;
use super::mounts::tmpfs;

/// How many processes may exist inside.
pub const PROCESSES: u64 = 128;
/// How much memory they may use together, in bytes.
pub const MEMORY: u64 = 768 << 20;

/// The groups of one sandbox; they are removed with this value.
pub struct Group {
    members: Vec<Member>,
}

/// Its group in one hierarchy.
pub struct Member {
    hierarchy: Hierarchy,
    directory: Lease,
}

impl Group {
    /// Makes the groups and writes their limits. Where none can be made, there is none: the
    /// sandbox then has only the limits of single processes.
    pub fn make() -> Group {
        let hierarchies = hierarchies().unwrap_or_default();
        Group { members: hierarchies.into_iter().filter_map(Member::make).collect() }
    }

    /// Its groups, one in each hierarchy.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Makes a cgroup namespace whose root these groups are.
    ///
    /// That root is the group of the process that makes it, so this process joins them for a
    /// moment; it must not stay, or a program's limits would be the judge's too.
    pub fn make_namespace(&self) -> Result<()> {
        if self.members.is_empty() {
            return Ok(());
        }
        let join = |doors: Vec<File>| doors.iter().try_for_each(|mut door| door.write_all(b"0"));
        let open = |door: fn(&Member) -> io::Result<File>| -> io::Result<Vec<File>> {
            self.members.iter().map(door).collect()
        };
        let way_back = open(Member::way_back).context("open the groups of the caller")?;
        open(Member::door).and_then(join).context("join the groups of the sandbox")?;
        let made = unshare(CloneFlags::CLONE_NEWCGROUP).context("unshare the cgroup namespace");
        join(way_back).context("go back to the groups of the caller")?;
        made
    }

    /// Mounts the view that this namespace has of them below the new root.
    pub fn mount(&self, root: &Path) -> Result<()> {
        let top = root.join("sys/fs/cgroup");
        if self.members.iter().any(|member| !member.hierarchy.is_unified()) {
            tmpfs(&top, MsFlags::MS_NOSUID, "mode=755,size=1m")?;
        }
        for Member { hierarchy, .. } in &self.members {
            let target = root.join(hierarchy.mount_point.strip_prefix("/").unwrap_or(&top));
            fs::create_dir_all(&target).context("make a mount point for cgroups")?;
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            let (kind, options) = (hierarchy.kind.as_str(), hierarchy.controllers.join(","));
            mount(Some(kind), &target, Some(kind), flags, Some(options.as_str()))
                .with_context(|| format!("mount {kind} on {}", target.display()))?;
        }
        Ok(())
    }
}

impl Member {
    fn make(hierarchy: Hierarchy) -> Option<Member> {
        let limits = |name: &String| ["memory", "pids"].contains(&name.as_str());
        if !(hierarchy.is_unified() || hierarchy.controllers.iter().any(limits)) {
            return None;
        }
        let directory = hierarchy
            .parents()
            .filter_map(|parent| Lease::take(parent, remove).ok())
            .find(|lease| limit(lease.path()))?;
        Some(Member { hierarchy, directory })
    }

    /// Opens the file to which a process writes 0 to join the group.
    pub fn door(&self) -> io::Result<File> {
        door(self.directory.path())
    }

    fn way_back(&self) -> io::Result<File> {
        door(&self.hierarchy.own)
    }
}

fn door(group: &Path) -> io::Result<File> {
    File::options().write(true).open(group.join("cgroup.procs"))
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
    let _ = fs::set_permissions(group, Permissions::from_mode(0o755));
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
