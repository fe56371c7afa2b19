//! What a container mounts, and the overlay that keeps its changes (and the sandbox's) apart.

use anyhow::Result;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;

use super::Finding;
use crate::sandbox::fork;
use crate::sandbox::layers::{STAGE, Upper};
use crate::sandbox::users::Privilege;

/// What step mount-ns mounts.
const TYPES: [&str; 5] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue"];

/// Mounts one of each type, and an overlay.
pub fn examine(privilege: Privilege) -> Vec<Finding> {
    vec![mounts(privilege), overlay(privilege)]
}

fn mounts(privilege: Privilege) -> Finding {
    let title = "file systems";
    let refused: Vec<(&str, Errno)> = (TYPES.iter())
        .filter_map(|kind| Some((*kind, fork::attempt(|| try_mount(privilege, kind)).err()?)))
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
fn try_mount(privilege: Privilege, kind: &str) -> Result<()> {
    privilege.unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC,
    )?;
    // Only a child is in the new PID namespace, which is the one that proc will show. The mount
    // namespace goes with us, and what lies on the stage is seen again.
    let mounted = || mount(Some(kind), STAGE, Some(kind), MsFlags::empty(), None::<&str>);
    Ok(fork::attempt(|| Ok(mounted()?))?)
}

fn overlay(privilege: Privilege) -> Finding {
    match Upper::find(privilege) {
        Ok(Upper { on_disk: false, .. }) => {
            Finding::ok("overlay", "works, with its changes in memory")
        }
        Ok(_) => Finding::limited(
            "overlay",
            "works with its changes on disk, in /var/tmp, and not in memory: slower",
            "boot Linux 6.6, the first whose tmpfs has the user xattrs it needs, or run as root",
        ),
        Err(_) if privilege == Privilege::None => Finding::needs_user_namespace("overlay"),
        Err(Errno::EIO) => Finding::missing(
            "overlay",
            "cannot replace a directory: before Linux 6.6 no tmpfs can, and /var/tmp cannot either",
            "mount a disk at /var/tmp that you may write to, or run as root",
        ),
        Err(errno) => Finding::missing(
            "overlay",
            format!("cannot be mounted: {}", errno.desc()),
            "sudo modprobe overlay, or leave this container",
        ),
    }
}
