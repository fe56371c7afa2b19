//! The container's group.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use nix::errno::Errno;
use nix::unistd::Pid;

use crate::directory::{Directory, new_name};
use crate::hierarchy::{Hierarchy, hierarchies, words};
use crate::parent::{make_at, make_somewhere};

pub use crate::hierarchy::Version;

/// What to do where the kernel lets nobody into a group.
const IN_USE: &str =
    " (the group above it has processes itself: move them to one of their own, or take another)";

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct CgroupOptions {
    /// The control group in which the container's own is made: a path from the hierarchy's root
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<PathBuf>,
}

impl CgroupOptions {
    /// The path of the container's group, if the options say where it is to be:
    /// `linux.cgroupsPath` of the OCI's runtime configuration.
    pub fn path(&self) -> anyhow::Result<Option<PathBuf>> {
        self.cgroup_parent.as_ref().map(|parent| Ok(parent.join(new_name()?))).transpose()
    }

    /// Makes the container's group.
    pub fn group(&self) -> anyhow::Result<Group> {
        Group::make(self.path()?.as_deref())
    }
}

/// The container's group, in every hierarchy with controllers that it needs; it is removed with
/// this value. Where none could be made the container is in the caller's, and this is empty.
///
/// To be made when the child has been forked already: nobody but us must hold the directories open,
/// or they would be a way out of the container.
pub struct Group {
    members: Vec<Member>,
    /// Whether somebody has said where it is to be. Then it has to be there.
    is_named: bool,
}

/// The group in one hierarchy.
struct Member {
    hierarchy: Hierarchy,
    directory: Directory,
}

impl Group {
    /// Makes the group `path`, which counts from the root of each hierarchy; without a path, a group
    /// wherever the caller may make one.
    pub fn make(path: Option<&Path>) -> anyhow::Result<Group> {
        let hierarchies = hierarchies()?;
        let mut members = Vec::new();
        if let Some(path) = path {
            if hierarchies.is_empty() {
                bail!("make the cgroup {}: no cgroup file system is mounted", path.display());
            }
            for hierarchy in hierarchies {
                let directory = make_at(&hierarchy, path)?;
                members.push(Member { hierarchy, directory });
            }
        } else {
            let name = new_name()?;
            for hierarchy in hierarchies {
                if let Some(directory) = make_somewhere(&hierarchy, &name) {
                    members.push(Member { hierarchy, directory });
                }
            }
        }
        Ok(Group { members, is_named: path.is_some() })
    }

    /// Moves a process into the group. The processes that it makes from then on are born there.
    pub fn add(&mut self, process: Pid) -> anyhow::Result<()> {
        if self.is_named {
            // All stay members, whatever is refused: those that the process is in by then can only
            // be removed when it has ended.
            return self.members.iter().try_for_each(|member| member.admit(process));
        }
        // Who may make groups need not be allowed to move a process out of the one it is in.
        self.members.retain(|member| member.admit(process).is_ok());
        Ok(())
    }

    /// Where the limits of a controller are written: the group's directory in the hierarchy that has
    /// the controller, and the interface there.
    #[must_use]
    pub fn directory_of(&self, controller: &str) -> Option<(&Path, Version)> {
        let member = self.members.iter().find(|member| member.has(controller))?;
        Some((member.directory.path(), member.hierarchy.version))
    }

    /// The group's directory in every hierarchy in which it could be made and joined.
    pub fn directories(&self) -> impl Iterator<Item = (&Path, Version)> {
        self.members.iter().map(|member| (member.directory.path(), member.hierarchy.version))
    }
}

impl Member {
    fn admit(&self, process: Pid) -> anyhow::Result<()> {
        let door = self.directory.path().join("cgroup.procs");
        fs::write(&door, process.to_string()).map_err(|error| {
            // cgroup-v2.rst, "No Internal Process Constraint".
            let is_above_in_use = error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32);
            let hint = if is_above_in_use { IN_USE } else { "" };
            anyhow::Error::new(error)
                .context(format!("write {process} to {}{hint}", door.display()))
        })
    }

    fn has(&self, controller: &str) -> bool {
        match self.hierarchy.version {
            Version::V1 => self.hierarchy.controllers.iter().any(|name| name == controller),
            Version::V2 => words(&self.directory.path().join("cgroup.controllers"))
                .iter()
                .any(|name| name == controller),
        }
    }
}
