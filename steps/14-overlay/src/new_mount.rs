//! The mount interface of Linux 5.2: a file system is opened, told its options one at a time, made,
//! and attached.
//!
//! Each layer is an option of its own, so nothing has to be joined, escaped, or cut off. (An option
//! is at most 255 bytes long, see fsconfig(2). So this is no way for a list of layers in *one*
//! string.)

use std::os::fd::OwnedFd;
use std::path::Path;

use mount_ns::path_of;
use nix::errno::Errno;
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};

use crate::stack::Stack;

/// Mounts the stack on `target`. Returns false where the kernel takes no layers one by one: that
/// came with Linux 6.8.
pub fn mount(stack: &Stack, target: &Path) -> nix::Result<bool> {
    match attach(stack, target) {
        Ok(()) => Ok(true),
        // An option that it does not know; before Linux 6.5 that comes out only when the overlay is
        // to be made. (Or it is a layer that it will not have: it says so again, the old way.)
        Err(rustix::io::Errno::INVAL) => Ok(false),
        Err(errno) => Err(Errno::from_raw(errno.raw_os_error())),
    }
}

fn attach(stack: &Stack, target: &Path) -> rustix::io::Result<()> {
    let overlay = context(stack)?;
    fsconfig_create(&overlay)?;
    let mount = fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    move_mount(&mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

fn context(stack: &Stack) -> rustix::io::Result<OwnedFd> {
    let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for layer in &stack.lower {
        fsconfig_set_string(&overlay, "lowerdir+", path_of(layer))?;
    }
    fsconfig_set_string(&overlay, "upperdir", path_of(&stack.writable.upper))?;
    fsconfig_set_string(&overlay, "workdir", path_of(&stack.writable.work))?;
    for &(word, value) in &stack.options {
        match value {
            Some(value) => fsconfig_set_string(&overlay, word, value)?,
            None => fsconfig_set_flag(&overlay, word)?,
        }
    }
    fsconfig_set_string(&overlay, "source", stack.source.as_os_str())?;
    Ok(overlay)
}
