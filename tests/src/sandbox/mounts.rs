//! The mounts and directories that everything in the sandbox is made of.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;

const NONE: Option<&str> = None;

/// From now on no mount of this process shows on the host, and none of the host's here
/// (`mount_namespaces(7)`).
pub fn make_mounts_private() -> Result<()> {
    let flags = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(NONE, "/", NONE, flags, NONE).context("mount / private")
}

/// Opens what lies at `path`, to mount it later from wherever it then is.
pub fn open_path(path: &Path) -> Result<File> {
    let file = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", path.display()))?;
    Ok(file.into())
}

/// A name for an open file that stays right whatever gets mounted over its path.
pub fn fd_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Mounts a tmpfs.
pub fn tmpfs(target: &Path, flags: MsFlags, options: &str) -> Result<()> {
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
        .with_context(|| format!("mount a tmpfs on {}", target.display()))
}

/// A bind mount of a whole tree, with these `MOUNT_ATTR_*` in all its mounts (`mount_setattr(2)`).
pub fn bind(source: &File, target: &Path, attributes: u64) -> Result<()> {
    let (from, flags) = (fd_path(source), MsFlags::MS_BIND | MsFlags::MS_REC);
    mount(Some(from.as_str()), target, NONE, flags, NONE)
        .with_context(|| format!("bind {}", target.display()))?;
    let mounted = open_path(target)?;
    // SAFETY: all zeros is a valid mount_attr, which holds only numbers.
    let mut set: libc::mount_attr = unsafe { std::mem::zeroed() };
    set.attr_set = attributes;
    // SAFETY: the descriptor is open, the path is a C string, and `set` has the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mounted.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const set,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result)
        .map(drop)
        .with_context(|| format!("set the attributes of the mounts on {}", target.display()))
}

/// Makes a directory of this mode, unless there is one.
pub fn make_dir(path: &Path, mode: u32) -> Result<()> {
    if !path.is_dir() {
        fs::create_dir(path).with_context(|| format!("mkdir {}", path.display()))?;
        fs::set_permissions(path, PermissionsExt::from_mode(mode))
            .with_context(|| format!("chmod {}", path.display()))?;
    }
    Ok(())
}

/// Makes a directory, and those above it that are missing.
pub fn make_dirs(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    make_dirs(path.parent().unwrap_or(Path::new("/")))?;
    make_dir(path, 0o755)
}
