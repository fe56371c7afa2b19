//! Directories that a layer does not name, but has something in.
//!
//! `usr/bin/tool` needs `usr/bin`. If the layer has no entry for that, then the layers below say
//! whose it is, as they would if everything were unpacked into one directory. overlayfs cannot
//! know: the uppermost directory counts, and that is the one which we had to make. So it gets the
//! attributes of the one that it hides.
//!
//! A simplification: the layer is then shared with other images, which may have something else
//! below it. There such a directory has the attributes from the image with which the layer came.
//! (Docker leaves it at 0755 and root in all of them; containerd unpacks layer upon layer, and so
//! has one copy for each image.)

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, futimens, openat};
use rustix::io::Errno;

use crate::beneath::beneath;
use crate::error::ImageError;
use crate::tree::times;

/// Gives the directories `implied` of the tree at `layer` the attributes of those that they hide.
/// `below` are the trees under it, the uppermost first.
pub fn inherit(
    layer: &Path,
    implied: &BTreeSet<Vec<u8>>,
    below: &[&Path],
) -> Result<(), ImageError> {
    let tried = || ImageError::io(format!("complete the directories of {}", layer.display()));
    let below: Result<Vec<OwnedFd>, Errno> = below.iter().map(|path| open(path)).collect();
    let below = below.map_err(tried())?;
    let layer_root = open(layer).map_err(tried())?;
    // What lies deeper comes first: it may not be reached any more, once its parents are closed.
    for path in implied.iter().rev() {
        let path: &[u8] = if path.is_empty() { b"." } else { path };
        if let Some(hidden) = uppermost(&below, path) {
            // One that an entry has replaced since is not there any more.
            let Ok(directory) = beneath(layer_root.as_fd(), path) else { continue };
            give(&directory, &hidden).map_err(tried())?;
        }
    }
    Ok(())
}

fn give(directory: &OwnedFd, hidden: &Stat) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(hidden.st_uid), Gid::from_raw(hidden.st_gid));
    fchown(directory, Some(uid), Some(gid))?;
    fchmod(directory, Mode::from_raw_mode(hidden.st_mode))?;
    futimens(directory, &times(hidden))
}

/// The directory of this name that one sees through all layers from above.
fn uppermost(below: &[OwnedFd], path: &[u8]) -> Option<Stat> {
    for layer in below {
        match beneath(layer.as_fd(), path) {
            Ok(directory) => return fstat(&directory).ok(),
            Err(Errno::NOENT) => {}
            // Something else, a whiteout perhaps: it hides what is below.
            Err(_) => return None,
        }
    }
    None
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
