//! What a container mounts, and the overlay that keeps its changes (and the sandbox's) apart.

use super::{
    Finding,
    trial::{Privilege, errno, in_child},
};
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::CloneFlags,
};
use std::{fs, io, path::Path};

/// What step mount-ns mounts.
const TYPES: [&str; 5] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue"];

/// Mounts one of each type, and an overlay.
pub fn examine(privilege: Privilege) -> Vec<Finding> {
    vec![mounts(privilege), overlay(privilege)]
}

fn mounts(privilege: Privilege) -> Finding {
    let title = "file systems";
    let refused: Vec<(&str, Errno)> = (TYPES.iter())
        .filter_map(|kind| Some((*kind, try_mount(privilege, kind).err()?)))
        .collect();
    let Some((kind, errno)) = refused.first() else {
        return Finding::ok(title, format!("can mount {}", TYPES.join(", ")));
    };
    let found = format!("cannot mount {kind}: {}", errno.desc());
    let fix = match (privilege, *kind, *errno) {
        (Privilege::None, ..) => return Finding::needs_user_namespace(title),
        // The kernel mounts no second /proc that would show what the first one hides.
        (Privilege::UserNamespace, "proc" | "sysfs", Errno::EPERM) => {
            "run as root, or outside of a container that hides parts of /proc and /sys \
             (Docker: --security-opt systempaths=unconfined)"
        }
        _ => "boot a kernel of a distribution, outside of any container",
    };
    Finding::missing(title, found, fix)
}

/// Each type of file system shows a namespace, and wants one that the mounting process owns.
fn try_mount(privilege: Privilege, kind: &str) -> nix::Result<()> {
    let directory = tempfile::tempdir().map_err(|error| errno(&error))?;
    in_child(|| {
        privilege.unshare(
            CloneFlags::CLONE_NEWNS
                | CloneFlags::CLONE_NEWPID
                | CloneFlags::CLONE_NEWNET
                | CloneFlags::CLONE_NEWIPC,
        )?;
        // Only a child is in the new PID namespace, which is the one that proc will show.
        in_child(|| mount(Some(kind), directory.path(), Some(kind), MsFlags::empty(), None::<&str>))
    })
}

/// Where an overlay can keep its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upper {
    /// On a tmpfs.
    Memory,
    /// On the disk, under `/var/tmp`.
    Disk,
}

/// Where an overlay of the caller can keep its changes; the reason, if there is no place.
pub fn upper(privilege: Privilege) -> nix::Result<Upper> {
    try_overlay(privilege, Upper::Memory)
        .map(|()| Upper::Memory)
        .or_else(|_| try_overlay(privilege, Upper::Disk).map(|()| Upper::Disk))
}

fn overlay(privilege: Privilege) -> Finding {
    match upper(privilege) {
        Ok(Upper::Memory) => Finding::ok("overlay", "works, with its changes in memory"),
        Ok(Upper::Disk) => Finding::limited(
            "overlay",
            "works with its changes on disk, in /var/tmp, and not in memory: slower",
            "boot Linux 6.6, the first whose tmpfs has the user xattrs it needs, or run as root",
        ),
        Err(_) if privilege == Privilege::None => Finding::needs_user_namespace("overlay"),
        Err(Errno::EIO) => Finding::missing(
            "overlay",
            "cannot replace a directory: before Linux 6.6 no tmpfs can, and /var/tmp is one, too",
            "mount a disk at /var/tmp, or run as root",
        ),
        Err(errno) => Finding::missing(
            "overlay",
            format!("cannot be mounted: {}", errno.desc()),
            "sudo modprobe overlay, or leave this container",
        ),
    }
}

/// Mounts an overlay and makes it hide a directory of its lower layer and replace it: for that
/// it needs xattrs, which the mount alone does not tell.
fn try_overlay(privilege: Privilege, upper: Upper) -> nix::Result<()> {
    let directory = match upper {
        Upper::Memory => tempfile::tempdir(),
        Upper::Disk => tempfile::tempdir_in("/var/tmp"),
    };
    let directory = directory.map_err(|error| errno(&error))?;
    let path = directory.path();
    in_child(|| {
        privilege.unshare(CloneFlags::CLONE_NEWNS)?;
        if upper == Upper::Memory {
            mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
        }
        let tried = replace_directory(privilege, path);
        // The overlay leaves a directory of mode 0 in there, which only root can remove, and
        // of a user's namespace we are root only now.
        let _ = umount2(&path.join("merged"), MntFlags::MNT_DETACH);
        let _ = fs::remove_dir_all(path.join("work"));
        tried.map_err(|error| errno(&error))
    })
}

fn replace_directory(privilege: Privilege, path: &Path) -> io::Result<()> {
    for name in ["lower", "lower/old", "upper", "work", "merged"] {
        fs::create_dir(path.join(name))?;
    }
    let place = path.display();
    // The sandbox's lower layers are the host's own directories: so is one of these.
    let mut options =
        format!("lowerdir={place}/lower:/usr,upperdir={place}/upper,workdir={place}/work");
    if privilege != Privilege::Root {
        options += ",userxattr";
    }
    let (merged, kind) = (path.join("merged"), Some("overlay"));
    mount(kind, &merged, kind, MsFlags::empty(), Some(options.as_str()))?;
    fs::remove_dir(merged.join("old"))?;
    fs::create_dir(merged.join("old"))
}
