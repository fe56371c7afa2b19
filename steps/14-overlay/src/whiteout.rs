//! How a layer says that something is gone.
//!
//! A layer can only add. So what is removed leaves a *whiteout* in its place, a character device
//! with the number 0:0, which no driver has. And a directory that was removed and made anew is
//! *opaque*, which an extended attribute says: what lies below it in lower layers does not shine
//! through.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use nix::libc::dev_t;
use nix::sys::stat::{SFlag, makedev};
use rustix::io::Errno;

/// The kernel's own attributes, of which only root of the host knows.
const TRUSTED: &str = "trusted.overlay.";

/// The same in a user namespace, whose root may set attributes of users only (`userxattr`).
const USER: &str = "user.overlay.";

/// Whether a file of this type and device number is a whiteout.
#[must_use]
pub fn is_whiteout(mode: u32, device: dev_t) -> bool {
    mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits() && device == makedev(0, 0)
}

/// Whether this is an attribute by which an overlay remembers something.
#[must_use]
pub fn is_of_the_overlay(attribute: &OsStr) -> bool {
    let name = attribute.to_string_lossy();
    name.starts_with(TRUSTED) || name.starts_with(USER)
}

/// Whether this directory of a layer hides those below it.
pub fn is_opaque(directory: &Path) -> io::Result<bool> {
    for prefix in [TRUSTED, USER] {
        let mut value = [0; 2];
        match rustix::fs::lgetxattr(directory, format!("{prefix}opaque"), &mut value[..]) {
            Ok(length) if value[..length] == *b"y" => return Ok(true),
            // Not set, or of another meaning; or this file system has none.
            Ok(_) | Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(false)
}

/// Whether overlays that are mounted here must do with attributes of users.
///
/// Only the host's own user namespace has every id, each under its own number. (Somebody privileged
/// could make another one that looks like it; no container runtime does.)
pub fn needs_user_attributes() -> anyhow::Result<bool> {
    let map = fs::read_to_string("/proc/self/uid_map").context("read /proc/self/uid_map")?;
    Ok(!map.split_whitespace().eq(["0", "0", "4294967295"]))
}
