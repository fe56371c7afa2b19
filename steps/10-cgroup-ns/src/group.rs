//! The container's group.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::unistd::Pid;

use crate::directory::{Directory, new_name};
use crate::hierarchy::{Hierarchy, hierarchies, words};
use crate::parent::{make_at, make_somewhere};

pub use crate::hierarchy::Version;

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
        let mut joined = Vec::new();
        for member in self.members.drain(..) {
            let door = member.directory.path().join("cgroup.procs");
            match fs::write(&door, process.to_string()) {
                Ok(()) => joined.push(member),
                // He may make groups there, and not move a process out of the one it is in.
                Err(_) if !self.is_named => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("write {process} to {}", door.display()));
                }
            }
        }
        self.members = joined;
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
    fn has(&self, controller: &str) -> bool {
        match self.hierarchy.version {
            Version::V1 => self.hierarchy.controllers.iter().any(|name| name == controller),
            Version::V2 => words(&self.directory.path().join("cgroup.controllers"))
                .iter()
                .any(|name| name == controller),
        }
    }
}
