//! Mounts a list of mounts.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::geteuid;
use oci_spec::runtime::Mount;

use crate::beneath::{directory_beneath, file_beneath, open_beneath};
use crate::options::MountOptions;
use crate::umask::NoUmask;

/// Who is root in a user namespace only may not show himself what belongs to others.
const IN_A_USER_NAMESPACE: &str = "in a user namespace /proc takes a PID namespace of its own, /sys a network and mqueue an IPC namespace";

/// Mounts `mounts` beneath the open directory `root`, in their order. A missing mount point is made.
pub fn mount_all(root: &OwnedFd, mounts: &[Mount]) -> anyhow::Result<()> {
    let _exact_modes = NoUmask::set();
    mounts.iter().try_for_each(|each| {
        mount_one(root, each).with_context(|| {
            let source = each.source().as_deref().unwrap_or(Path::new("nothing"));
            let rootfs = fs::read_link(path_of(root)).unwrap_or_default();
            format!(
                "mount {} on {} in {}",
                source.display(),
                each.destination().display(),
                rootfs.display()
            )
        })
    })
}

fn mount_one(root: &OwnedFd, each: &Mount) -> anyhow::Result<()> {
    let MountOptions { flags, propagation, data } =
        MountOptions::parse(each.options().as_deref().unwrap_or_default());
    let (none, source, destination) = (None::<&str>, each.source().as_deref(), each.destination());
    let is_bind = flags.contains(MsFlags::MS_BIND);

    let is_file = is_bind && source.is_some_and(Path::is_file);
    let mount_point = if is_file {
        file_beneath(root, destination)
    } else {
        directory_beneath(root, destination)
    }
    .context("make the mount point")?;
    let kind = each.typ().as_deref();
    match mount(source, &path_of(&mount_point), kind, flags, Some(data.as_str())) {
        // The very same file system is already mounted there, and the kernel does not stack one upon itself:
        // somebody prepared this root by hand. That mount leaves, in this namespace only.
        Err(Errno::EBUSY) => {
            umount2(&path_of(&mount_point), MntFlags::MNT_DETACH)
                .context("unmount what is there")?;
            let mount_point = open_beneath(root, destination)?;
            mount(source, &path_of(&mount_point), kind, flags, Some(data.as_str()))?;
        }
        Err(Errno::EPERM) if geteuid().is_root() => {
            return Err(Errno::EPERM).context(IN_A_USER_NAMESPACE);
        }
        result => result?,
    }

    // The rest are changes to the new mount, which now lies over the mount point: hence the second look-up.
    let properties = flags - MsFlags::MS_REC - MsFlags::MS_BIND;
    let new_mount = || open_beneath(root, destination).context("open the new mount");
    if is_bind && !properties.is_empty() {
        // mount(2) ignores every other flag beside MS_BIND; only a remount takes them.
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | properties;
        mount(none, &path_of(&new_mount()?), none, flags, none)
            .context("set the options of a bind mount")?;
    }
    for flag in propagation {
        mount(none, &path_of(&new_mount()?), none, flag, none).context("set the propagation")?;
    }
    Ok(())
}

/// A path for mount(2), which takes no descriptors. It leads to just the file that is open, whatever has
/// become of its name: see proc(5), "/proc/pid/fd/".
pub fn path_of(fd: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}
