//! A part of the store that is not whole yet.
//!
//! Everything is made in a directory of its own, `parts/UUID`, and only a rename puts it where it
//! counts. If we are killed before, the part stays behind, and looks like one. Its maker holds a
//! lock on it, which the kernel takes back however he ends (flock(2)), as in step 10. So a part
//! that can be locked is abandoned, and the next one that comes by clears it away.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::error::ImageError;

/// A directory in the making, which goes away with this value.
pub struct Part {
    path: PathBuf,
    /// Open, and locked.
    directory: OwnedFd,
}

impl Part {
    /// Makes a part below `parts`, and clears away what was abandoned there.
    pub fn make(parts: &Path) -> Result<Part, ImageError> {
        clear_away_abandoned(parts);
        let source = "/proc/sys/kernel/random/uuid";
        let uuid = fs::read_to_string(source).map_err(ImageError::io(format!("read {source}")))?;
        let path = parts.join(uuid.trim());
        let tried = || ImageError::io(format!("make {}", path.display()));
        loop {
            match mkdirat(CWD, &path, Mode::RWXU) {
                // Made by us a moment ago, and about to be cleared away by somebody who came
                // between the making and the lock.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(tried()(errno)),
            }
            match open_directory(CWD, &path) {
                Err(Errno::NOENT) => {}
                opened => {
                    let directory = opened.map_err(tried())?;
                    flock(&directory, FlockOperation::LockExclusive).map_err(tried())?;
                    if is_at(&directory, &path) {
                        return Ok(Part { path, directory });
                    }
                }
            }
        }
    }

    /// Makes a directory in it, and opens it.
    pub fn directory(&self, name: &str) -> Result<OwnedFd, ImageError> {
        let tried = || ImageError::io(format!("make {}", self.path.join(name).display()));
        mkdirat(&self.directory, name, Mode::RWXU).map_err(tried())?;
        open_directory(self.directory.as_fd(), name).map_err(tried())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // What cannot be removed now is left to the next one.
        let _ = remove(&self.path, self.directory.as_fd());
    }
}

fn clear_away_abandoned(parts: &Path) {
    for entry in fs::read_dir(parts).into_iter().flatten().flatten() {
        let Ok(directory) = open_directory(CWD, entry.path()) else { continue };
        let lock = flock(&directory, FlockOperation::NonBlockingLockExclusive);
        if lock.is_ok() && is_at(&directory, &entry.path()) {
            let _ = remove(&entry.path(), directory.as_fd());
        }
    }
}

fn is_at(directory: &OwnedFd, path: &Path) -> bool {
    let there = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW);
    let ours = fstat(directory);
    matches!((there, ours), (Ok(there), Ok(ours)) if there.st_ino == ours.st_ino)
}

fn remove(path: &Path, directory: BorrowedFd) -> Result<(), Errno> {
    let mut moved = 0;
    // What was too deep has come up by now.
    while empty(directory, directory, 0, &mut moved)? {}
    unlinkat(CWD, path, AtFlags::REMOVEDIR)
}

/// Removes everything in `directory`. Says whether something has been moved to `top` instead.
///
/// An archive can nest two thousand directories, and we may not have as many files open, nor a name
/// as long. So what lies deep is moved up, and is removed from there.
fn empty(
    directory: BorrowedFd,
    top: BorrowedFd,
    depth: u32,
    moved: &mut u64,
) -> Result<bool, Errno> {
    const DEEP: u32 = 64;
    let mut has_moved = false;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() != FileType::Directory {
            unlinkat(directory, name, AtFlags::empty())?;
        } else if depth == DEEP {
            *moved += 1;
            // A name that is longer than a digest, so that it is none of ours.
            renameat(directory, name, top, format!("{:080}", *moved))?;
            has_moved = true;
        } else {
            // The part's own directory is the only one that needs no permission.
            let _ = rustix::fs::chmodat(directory, name, Mode::RWXU, AtFlags::empty());
            let inner = open_directory(directory, name)?;
            has_moved |= empty(inner.as_fd(), top, depth + 1, moved)?;
            unlinkat(directory, name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(has_moved)
}

fn open_directory(parent: BorrowedFd, path: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, path, flags, Mode::empty())
}
