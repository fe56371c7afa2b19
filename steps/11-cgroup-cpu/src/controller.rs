//! The directory in which the limits of a controller are, and what is written there.
//!
//! A limit that cannot be set is an error. A container that was asked to be small and is not is
//! worse than none.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::anyhow;
use cgroup_ns::Group;
use cgroup_ns::group::Version;
use cgroup_ns::hierarchy::{Hierarchy, hierarchies};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

/// The group's directory in the hierarchy that has `controller`, and the interface there.
pub fn directory<'g>(group: &'g Group, controller: &str) -> anyhow::Result<(&'g Path, Version)> {
    if let Some(found) = group.directory_of(controller) {
        return Ok(found);
    }
    let hierarchies = hierarchies()?;
    let hierarchy = hierarchies.iter().find(|hierarchy| has(hierarchy, controller));
    let made = group.directories().find(|(_, version)| *version == Version::V2);
    let reason = match (hierarchy, made) {
        (None, _) => not_there(controller),
        (Some(hierarchy), None) => not_made(hierarchy),
        (Some(_), Some((made, _))) => not_handed_down(made, controller),
    };
    Err(anyhow!("limit the container by the controller '{controller}': {reason}"))
}

fn has(hierarchy: &Hierarchy, controller: &str) -> bool {
    hierarchy.controllers.iter().any(|name| name == controller)
}

fn not_there(controller: &str) -> String {
    format!(
        "no control groups with it are mounted (on version 1, root would: mount -t cgroup -o \
         {controller} cgroup /sys/fs/cgroup/{controller})"
    )
}

fn not_made(hierarchy: &Hierarchy) -> String {
    let own = hierarchy.own.display();
    match access(&hierarchy.own, AccessFlags::W_OK) {
        Err(Errno::EROFS) => {
            format!("{own} is read-only (a container has its cgroups read-only: try on the host)")
        }
        Err(Errno::EACCES) => {
            format!("{own} is not delegated to you (root would chown it to you)")
        }
        _ => format!("no group could be made and joined in {own}"),
    }
}

/// On version 2 a group has the controllers that its parent hands down.
fn not_handed_down(group: &Path, controller: &str) -> String {
    let parent = group.parent().unwrap_or(group).display();
    format!(
        "{parent} does not hand it down (root would: echo +{controller} > \
         {parent}/cgroup.subtree_control; the kernel refuses that as long as there are processes \
         in that group itself, or the group above it does not hand it down either)"
    )
}

/// Writes a limit.
pub fn write(file: &Path, value: &str) -> anyhow::Result<()> {
    // Not `fs::write`, which would try to make a file that is missing, and be told EACCES.
    let written = File::options()
        .write(true)
        .open(file)
        .and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|error| explain(file, value, error))
}

/// What was written where, why the kernel refused, and what to do about it.
fn explain(file: &Path, value: &str, error: io::Error) -> anyhow::Error {
    let what_to_do = match error.kind() {
        ErrorKind::NotFound => " (this kernel was built, or started, without this limit)",
        ErrorKind::PermissionDenied => " (it is not delegated to you: root would chown it to you)",
        ErrorKind::ReadOnlyFilesystem => {
            " (a container has its cgroups read-only: try on the host)"
        }
        ErrorKind::InvalidInput => " (is it more than a group above it has got?)",
        _ => "",
    };
    let message = format!("write '{value}' to {}{what_to_do}", file.display());
    anyhow::Error::new(error).context(message)
}
