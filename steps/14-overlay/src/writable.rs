//! The directory that takes the changes.

use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{Gid, Uid, fchown};

use crate::stage::make_directory;

/// The names are Docker's: what differs from the image, and where the kernel puts a file together
/// before it takes its place there in one step. Both must lie in one file system.
const UPPER: &str = "diff";
const WORK: &str = "work";

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// The uppermost layer.
pub struct Writable {
    /// `upperdir`: the changes.
    pub upper: OwnedFd,
    /// `workdir`: the kernel's own.
    pub work: OwnedFd,
}

impl Writable {
    /// Makes it in the directory `place`, or finds it there. A new one gets the owner and the mode
    /// of the directory `top`, because it is those of the uppermost layer that the merged one has.
    pub fn make(place: &OwnedFd, top: &OwnedFd) -> nix::Result<Writable> {
        let is_new = openat(place, UPPER, DIRECTORY, Mode::empty()).err() == Some(Errno::ENOENT);
        let upper = make_directory(place, UPPER)?;
        if is_new {
            take_after(&upper, top)?;
        }
        Ok(Writable { upper, work: make_directory(place, WORK)? })
    }
}

/// Opens the directory that keeps the changes. Neither it nor what is in it may lie in one of the
/// layers, which would change with it.
pub fn open_kept(path: &Path, layers: &[OwnedFd]) -> anyhow::Result<OwnedFd> {
    let shown = path.display();
    let kept = open(path, DIRECTORY, Mode::empty())
        .with_context(|| format!("open the writable layer {shown}"))?;
    for directory in [".", UPPER] {
        let overlaps = match openat(&kept, directory, DIRECTORY, Mode::empty()) {
            Ok(directory) => lies_in(directory, layers),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno),
        };
        if overlaps.with_context(|| format!("look where {shown} lies"))? {
            bail!("put changes into {shown}: it lies in a layer, and those must not change");
        }
    }
    Ok(kept)
}

/// Goes up, as far as the file system reaches.
fn lies_in(mut at: OwnedFd, layers: &[OwnedFd]) -> nix::Result<bool> {
    let file = |directory: &OwnedFd| fstat(directory).map(|stat| (stat.st_dev, stat.st_ino));
    let layers: Vec<_> = layers.iter().map(file).collect::<nix::Result<_>>()?;
    loop {
        let (device, inode) = file(&at)?;
        if layers.contains(&(device, inode)) {
            return Ok(true);
        }
        at = openat(&at, "..", DIRECTORY, Mode::empty())?;
        let above = file(&at)?;
        if above.0 != device || above == (device, inode) {
            return Ok(false);
        }
    }
}

/// Gives a new directory the owner and the mode of another.
pub fn take_after(new: &OwnedFd, model: &OwnedFd) -> nix::Result<()> {
    let model = fstat(model)?;
    match fchown(new, Some(Uid::from_raw(model.st_uid)), Some(Gid::from_raw(model.st_gid))) {
        // In a user namespace its owner may be nobody: then it stays ours.
        Ok(()) | Err(Errno::EPERM | Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    fchmod(new, Mode::from_bits_truncate(model.st_mode))
}
