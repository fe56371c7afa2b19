//! Step 03: the host's root leaves.
//!
//! chroot(2) only moves the point where `/` begins. The host's files are still mounted behind it,
//! and a process with privilege climbs out to them. `pivot_root(2)` puts another mount in the place
//! of the root mount, and the old one is then unmounted: there is nothing left to climb to.
//!
//! Two functions: [`bind_root`] makes ROOTFS a mount, which `pivot_root(2)` demands, and
//! [`pivot_root()`] changes over to it.

use std::os::fd::OwnedFd;
use std::path::{self, Path};

use anyhow::Context;
use mount_ns::open_root;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{self, chdir, fchdir};

/// Makes `rootfs` a mount by binding it onto itself, with what is mounted beneath it, and opens it.
///
/// "`new_root` must be a path to a mount point", says `pivot_root(2)`, and an unpacked root file
/// system is in general just a directory. The mount namespace must be the container's own by now.
pub fn bind_root(rootfs: &Path) -> anyhow::Result<OwnedFd> {
    // An absolute path, because `.` would go on meaning the directory that now lies beneath the
    // mount.
    let rootfs = &path::absolute(rootfs).context("find the working directory")?;
    let (none, bind) = (None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC);
    mount(Some(rootfs), rootfs, none, bind, none)
        .with_context(|| format!("bind {} onto itself", rootfs.display()))?;
    open_root(rootfs)
}

/// Makes the mount `root` the root of this mount namespace, and takes the old root away.
pub fn pivot_root(root: &OwnedFd) -> anyhow::Result<()> {
    fchdir(root).context("chdir to the new root")?;
    // The second path is where the old root goes. With "." for both it comes to lie on top of the
    // new one, so that no directory has to be made for it: see the notes of pivot_root(2).
    unistd::pivot_root(".", ".").map_err(explain)?;
    // On top, so it is what "." now means to umount2(2). It is in use by this very process and many
    // mounts lie beneath it: MNT_DETACH takes them all out at once and does not wait for those who
    // use them.
    umount2(".", MntFlags::MNT_DETACH).context("unmount the old root")?;
    chdir("/").context("chdir to /")
}

fn explain(errno: Errno) -> anyhow::Error {
    let message = match errno {
        Errno::EBUSY => "pivot_root (ROOTFS is the root directory already)",
        Errno::EINVAL => {
            "pivot_root (it cannot leave an initial ramfs or a chroot: is `/` a mount on a disk?)"
        }
        _ => "pivot_root",
    };
    anyhow::Error::new(errno).context(message)
}
