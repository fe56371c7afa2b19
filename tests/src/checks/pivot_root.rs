//! Step 03: the old root is gone, so there is nothing to climb out to.

use std::path::Path;

use super::Check;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Held, expect};

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "pivot-root/namespace-root-is-rootfs",
        asserts: "Whoever joins the mount namespace finds ROOTFS as its root.",
        read: "pivot_root(2), setns(2)",
        holds: namespace_root_is_rootfs,
    },
    Check {
        name: "pivot-root/no-mount-of-the-host-inside",
        asserts: "No mount of the host's is left in the mount namespace.",
        read: "pivot_root(2) under NOTES, MNT_DETACH in umount(2)",
        holds: no_mount_of_the_host_inside,
    },
    Check {
        name: "pivot-root/chroot-escape-fails",
        asserts: "The classic escape, a second chroot and many `..`, ends in ROOTFS.",
        read: "chroot(2): a process with CAP_SYS_CHROOT can leave a chroot, not a mount namespace",
        holds: chroot_escape_fails,
    },
];

fn namespace_root_is_rootfs(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let (root, due) = (agent.command.joined()?.root, trial.due_root(&agent.command)?);
    expect(root == due, "the root of the command's mount namespace is ROOTFS", || {
        format!("after setns(2) `/` is {root:?}, ROOTFS is {due:?}")
    })
}

fn no_mount_of_the_host_inside(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let hosts = trial.host_mounts()?;
    let inside = agent.command.joined()?.mounts;
    // What a container mounts anew may be the very file system that the host has mounted: /proc,
    // /sys or message queues of the same namespaces. What holds the host's files may not.
    // And ROOTFS itself, if it is a mount, is the one that shall be there.
    let own = [Path::new("/proc"), Path::new("/sys"), Path::new("/dev"), &trial.rootfs];
    let files = |path: &Path| !own.iter().any(|own| path.starts_with(own));
    let left = inside.iter().find(|mount| {
        hosts
            .iter()
            .any(|host| files(&host.path) && host.device == mount.device && host.root == mount.root)
    });
    expect(left.is_none(), "no mount of the host is in the command's mount namespace", || {
        format!("after setns(2) mountinfo still has {left:?}")
    })
}

fn chroot_escape_fails(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    // chroot(2) leaves the working directory where it is: outside of the new root, where nothing
    // stops `..` any more.
    agent.must("mkdir /checks/deeper")?;
    agent.must("chroot /checks/deeper")?;
    agent.must("chdir ../../../../../../../..")?;
    agent.must("chroot .")?;
    let (root, due) = (agent.command.root()?, trial.due_root(&agent.command)?);
    expect(root == due, "after the escape /proc/PID/root of the command is still ROOTFS", || {
        format!("it is {root:?}, ROOTFS is {due:?}")
    })
}
