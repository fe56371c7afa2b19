//! Mounts a list of mounts.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::geteuid;
use oci_spec::runtime::Mount;

use crate::beneath::{directory_beneath, file_beneath, open_beneath};
use crate::options::MountOptions;
use crate::umask::NoUmask;

/// Who is root in a user namespace only may not show himself what belongs to others.
const IN_A_USER_NAMESPACE: &str = "in a user namespace /proc takes a PID namespace of its own, \
                                   /sys a network namespace, and mqueue an IPC namespace";

/// Mounts `mounts` beneath the open directory `root`, in their order. A missing mount point is
/// made.
pub fn mount_all(root: &OwnedFd, mounts: &[Mount]) -> anyhow::Result<()> {
    let _exact_modes = NoUmask::set();
    for each in mounts {
        mount_one(root, each).with_context(|| {
            let source = each.source().as_deref().unwrap_or(Path::new("nothing")).display();
            let rootfs = fs::read_link(path_of(root)).unwrap_or_default();
            format!("mount {source} on {} in {}", each.destination().display(), rootfs.display())
        })?;
    }
    Ok(())
}

fn mount_one(root: &OwnedFd, each: &Mount) -> anyhow::Result<()> {
    let options = MountOptions::parse(each.options().as_deref().unwrap_or_default());
    let (source, kind, destination) =
        (each.source().as_deref(), each.typ().as_deref(), each.destination());
    let attach = |mount_point: &OwnedFd| {
        mount(source, &path_of(mount_point), kind, options.flags, Some(options.data.as_str()))
    };

    // Only a directory can be mounted on a directory, and that is what a file system has at its root.
    let is_bind = options.flags.contains(MsFlags::MS_BIND);
    let is_file = is_bind && source.is_some_and(|source| !source.is_dir());
    let make = if is_file { file_beneath } else { directory_beneath };
    let mount_point = make(root, destination).context("make the mount point")?;
    match attach(&mount_point) {
        // The very same file system is already mounted there, and the kernel does not stack one
        // upon itself: somebody prepared this root by hand. That mount leaves, in this namespace
        // only.
        Err(Errno::EBUSY) => {
            umount2(&path_of(&mount_point), MntFlags::MNT_DETACH)
                .context("unmount what is there")?;
            attach(&open_beneath(root, destination)?)?;
        }
        Err(Errno::EPERM) if geteuid().is_root() => {
            return Err(Errno::EPERM).context(IN_A_USER_NAMESPACE);
        }
        result => result?,
    }
    adjust(root, destination, &options)
}

/// What mount(2) does not do in the same call: it ignores every other flag beside `MS_BIND`, which
/// only a remount takes, and changes the propagation by itself.
fn adjust(root: &OwnedFd, destination: &Path, options: &MountOptions) -> anyhow::Result<()> {
    let change = |flags: MsFlags| {
        // Looked up anew, because what was opened before is the mount point beneath the new mount.
        let mounted = open_beneath(root, destination)?;
        mount(None::<&str>, &path_of(&mounted), None::<&str>, flags, None::<&str>)
    };
    let rest = options.flags - MsFlags::MS_BIND - MsFlags::MS_REC;
    if options.flags.contains(MsFlags::MS_BIND) && !rest.is_empty() {
        change(MsFlags::MS_REMOUNT | MsFlags::MS_BIND | rest)
            .context("set the options of a bind mount")?;
    }
    if options.read_only_tree {
        read_only_tree(&open_beneath(root, destination)?).context("make the tree read-only")?;
    }
    for &flags in &options.propagation {
        change(flags).context("set the propagation")?;
    }
    Ok(())
}

/// Makes a mount read-only, with all that is mounted beneath it: mount(2) would change the first one
/// only.
fn read_only_tree(mounted: &OwnedFd) -> nix::Result<()> {
    let change = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: `mounted` is open, the path is a C string, and the kernel reads as many bytes of
    // `change` as we say it has.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mounted.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const change,
            size_of_val(&change),
        )
    };
    Errno::result(result).map(drop)
}

/// A path for mount(2), which takes no descriptors. It leads to just the file that is open,
/// whatever has become of its name: see proc(5), "/proc/pid/fd/".
#[must_use]
pub fn path_of(fd: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}
