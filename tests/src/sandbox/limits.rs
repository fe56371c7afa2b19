//! A control group for everything inside of one sandbox, where the caller may make one.
//!
//! On cgroup version 1 there is one group in each hierarchy that a container needs, on version 2 a
//! single one (`cgroups(7)`). To what runs inside these groups are the roots of its hierarchies, and
//! it may make groups below them, as on a host.

mod member;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

pub use member::Member;

use super::cgroups::hierarchies;
use super::mounts::tmpfs;

/// How many processes may exist inside.
pub const PROCESSES: u64 = 128;
/// How much memory they may use together, in bytes.
pub const MEMORY: u64 = 768 << 20;

/// The groups of one sandbox; they are removed with this value.
pub struct Group {
    members: Vec<Member>,
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
        open(Member::entrance).and_then(join).context("join the groups of the sandbox")?;
        let made = unshare(CloneFlags::CLONE_NEWCGROUP).context("unshare the cgroup namespace");
        join(way_back).context("go back to the groups of the caller")?;
        self.members.iter().for_each(Member::hand_down);
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
            if let [_, _, ..] = hierarchy.controllers[..] {
                link(&target, &hierarchy.controllers)?;
            }
        }
        Ok(())
    }
}

/// Where one hierarchy has several controllers, each is a link beside it, as on every such host.
fn link(hierarchy: &Path, controllers: &[String]) -> Result<()> {
    let name = hierarchy.file_name().context("a hierarchy is mounted on /")?;
    for controller in controllers {
        let link = hierarchy.with_file_name(controller);
        symlink(name, &link).with_context(|| format!("make the link {}", link.display()))?;
    }
    Ok(())
}
