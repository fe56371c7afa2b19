//! Where a group can be made.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

use anyhow::{Context, bail};

use crate::directory::Directory;
use crate::hierarchy::{Hierarchy, Version, words};

/// Makes a group in the first place that allows it, if there is one.
///
/// On version 1 that is below our own group. On version 2 it is not, because a group with processes
/// in it hands down no controllers (cgroup-v2.rst, "No Internal Process Constraint"). There root
/// makes it at the top, and everybody else beside his own group; that is runc's rule too. Where
/// only our own group is delegated to us, it is better to have a group without controllers in it
/// than none.
#[must_use]
pub fn make_somewhere(hierarchy: &Hierarchy, name: &str) -> Option<Directory> {
    let Hierarchy { mount_point: top, own, .. } = hierarchy;
    let beside = own.parent().filter(|parent| parent.starts_with(top));
    let places = match hierarchy.version {
        Version::V1 => vec![own.as_path()],
        Version::V2 => [Some(top.as_path()), beside, Some(own)].into_iter().flatten().collect(),
    };
    places.into_iter().find_map(|parent| make(hierarchy, parent, name).ok())
}

/// Makes the group `path`, which counts from the root of the hierarchy. Its parent must be there.
pub fn make_at(hierarchy: &Hierarchy, path: &Path) -> anyhow::Result<Directory> {
    if path.components().any(|part| part == Component::ParentDir) {
        bail!(
            "make the cgroup {}: a path from the root of a hierarchy has no '..'",
            path.display()
        );
    }
    let (parent, name) = path
        .parent()
        .zip(path.file_name().and_then(|name| name.to_str()))
        .with_context(|| format!("make the cgroup {}: it has no name", path.display()))?;
    let parent = hierarchy.mount_point.join(parent.strip_prefix("/").unwrap_or(parent));
    make(hierarchy, &parent, name).map_err(|error| explain(&parent, error))
}

fn make(hierarchy: &Hierarchy, parent: &Path, name: &str) -> io::Result<Directory> {
    hand_down(hierarchy, parent);
    Directory::make(parent, name)
}

/// Has every group from the top down to `parent` hand its controllers down, as far as we may and it
/// can. The container's group then has the controllers that have come through to it, and a limit
/// that needs another one is refused (steps 11 to 13). They stay handed down: others may rely on it
/// by then.
fn hand_down(hierarchy: &Hierarchy, parent: &Path) {
    if hierarchy.version == Version::V1 {
        return;
    }
    let mut groups: Vec<&Path> =
        parent.ancestors().take_while(|group| group.starts_with(&hierarchy.mount_point)).collect();
    groups.reverse();
    for group in groups {
        // Of the controllers that allow it all the same, cpu and pids, the groups below would
        // become invalid: nobody could join them. (The root of all groups is another matter, and
        // the only one that has no type.)
        if group.join("cgroup.type").exists() && !words(&group.join("cgroup.procs")).is_empty() {
            return;
        }
        let switch = group.join("cgroup.subtree_control");
        let (there, on) = (words(&group.join("cgroup.controllers")), words(&switch));
        for controller in &hierarchy.controllers {
            if there.contains(controller) && !on.contains(controller) {
                // One at a time: a write is carried out as a whole or not at all.
                let _ = fs::write(&switch, format!("+{controller}"));
            }
        }
    }
}

/// Which group was tried, why the kernel refused, and what to do about it.
fn explain(parent: &Path, error: io::Error) -> anyhow::Error {
    let what_to_do = match error.kind() {
        ErrorKind::NotFound => " (it must be there before: make it with mkdir)",
        ErrorKind::PermissionDenied => " (it is not delegated to you: root would chown it to you)",
        ErrorKind::ReadOnlyFilesystem => {
            " (a container has its cgroups read-only: try on the host)"
        }
        _ => "",
    };
    let message = format!("make a cgroup in {}{what_to_do}", parent.display());
    anyhow::Error::new(error).context(message)
}
