//! Devices of an image are files and no devices.
//!
//! An image may have a device node with the numbers of the host's disk. The container's devices are
//! those of step 02; on the root's own mount the kernel opens none (`MS_NODEV` in mount(2)).

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Context;
use nix::errno::Errno;
use nix::libc;

/// Has the kernel open no device on this mount.
pub fn forbid_devices(root: &OwnedFd) -> anyhow::Result<()> {
    let change = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: `root` is open, the path is a C string, and the kernel reads as many bytes of
    // `change` as we say it has.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            root.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const change,
            size_of_val(&change),
        )
    };
    Errno::result(result).map(drop).context("mount the image without devices (mount_setattr)")
}
