//! The file system in memory on which the stack is built.
//!
//! It exists in the container's mount namespace only, and so it ends with the container, also when
//! the step is killed: nothing has to be cleared up, and nobody has to remember. What the container
//! writes into it counts as memory of its group (step 12). A production runtime keeps the writable
//! layer on disk, where more fits, and clears up after itself; here that is what `--upper` is for.

use std::os::fd::OwnedFd;

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsmount, fsopen,
    move_mount,
};

/// Mounts a tmpfs on a layer, and returns its root. Only this mount namespace sees it.
///
/// It hides the layer, which must be open by now, and so can still be used. No other directory is
/// sure to exist, and none would be missed less.
pub fn mount_stage(layer: &OwnedFd) -> anyhow::Result<OwnedFd> {
    let mount = || {
        let tmpfs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&tmpfs)?;
        let stage = fsmount(&tmpfs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        // Both paths are empty: what is meant are the directories that are open.
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&stage, "", layer, "", flags)?;
        Ok(stage)
    };
    let mounted = mount().map_err(|errno: rustix::io::Errno| Errno::from_raw(errno.raw_os_error()));
    mounted.context("mount a tmpfs for the layers")
}

/// Makes a directory, unless it is there, and opens it.
pub fn make_directory(parent: &OwnedFd, name: &str) -> nix::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}
