//! The new root directory before it is the root, and paths beneath it.
//!
//! A root file system is somebody else's work. If its `/proc` is a symbolic link to `/etc`, then a
//! mount on `ROOTFS/proc` lands on the host's `/etc`. So the root is opened once, and every path is
//! looked up from that descriptor with openat2(2), which treats it as `/`: links and `..` stay
//! beneath it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context;
use fork_exec::CommandError;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{AccessFlags, faccessat};

/// Opens the directory `rootfs`, as the root for [`mount_all`](crate::mount_all()) and
/// [`make_devices`](crate::make_devices()).
///
/// An empty directory is refused: no command can be found in it (status 127), and so it stays
/// empty.
pub fn open_root(rootfs: &Path) -> anyhow::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let shown = rootfs.display();
    let root = open(rootfs, flags, Mode::empty())
        .with_context(|| format!("open the root directory {shown}"))?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match Dir::openat(&root, ".", flags, Mode::empty()) {
        Ok(mut entries) => {
            // "." and ".." are in every directory.
            if entries.iter().nth(2).is_none() {
                let message =
                    format!("exec in {shown}: {} (the directory is empty)", Errno::ENOENT);
                return Err(CommandError::NotFound(message).into());
            }
        }
        // It cannot be listed; but as a root it only has to be entered.
        Err(_) => faccessat(&root, ".", AccessFlags::X_OK, AtFlags::AT_EACCESS)
            .with_context(|| format!("enter the root directory {shown}"))?,
    }
    Ok(root)
}

/// Opens `path` as a process would that has `root` as its root directory.
pub fn open_beneath(root: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    loop {
        match openat2(root, path, how) {
            // Somewhere a rename or a mount came in between, and the kernel could not be sure of a
            // "..".
            Err(Errno::EAGAIN) => {}
            result => return result,
        }
    }
}

/// The same for a directory, which is made if it is missing, and so are its parents.
pub fn directory_beneath(root: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    match open_beneath(root, path) {
        Err(Errno::ENOENT) => {}
        result => return result,
    }
    let (parent, name) = split(root, path)?;
    match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
        // Another container of the same root was faster.
        Ok(()) | Err(Errno::EEXIST) => open_beneath(root, path),
        Err(errno) => Err(errno),
    }
}

/// The same for a file: the mount point for another file.
pub fn file_beneath(root: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    match open_beneath(root, path) {
        Err(Errno::ENOENT) => {}
        result => return result,
    }
    let (parent, name) = split(root, path)?;
    let flags =
        OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(&parent, name, flags, Mode::from_bits_truncate(0o644)) {
        Ok(_) | Err(Errno::EEXIST) => open_beneath(root, path),
        Err(errno) => Err(errno),
    }
}

/// The open parent directory of `path`, which is made if it is missing, and the last name.
fn split<'path>(root: &OwnedFd, path: &'path Path) -> nix::Result<(OwnedFd, &'path OsStr)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::EINVAL);
    };
    Ok((directory_beneath(root, parent)?, name))
}
