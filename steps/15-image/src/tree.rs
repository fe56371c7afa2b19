//! A layer's tree, in which every name is resolved beneath its root.
//!
//! Entries come by directory. The parent of the last one stays open, and most need no look-up at
//! all.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, Stat, Timespec, Timestamps, fchmod, fstat, futimens, mkdirat, renameat, unlinkat,
};
use rustix::io::Errno;

use crate::beneath::{beneath, refusal};
use crate::error::Fault;
use crate::whiteout::{is_whiteout, mark_opaque};

/// What may be remembered about directories until the end, in bytes.
const MEMORY: usize = 16 << 20;

/// A layer's tree while entries are put into it.
pub struct Tree {
    root: OwnedFd,
    /// Where a directory goes that an entry takes the place of. It is cleared away with the part.
    aside: OwnedFd,
    set_aside: u64,
    /// The parent of the last entry.
    here: Option<Here>,
    /// Directories that no entry has named so far.
    implied: BTreeSet<Vec<u8>>,
    /// Directories of an ordinary user that stay writable for him until the end, and their modes.
    closed: Vec<(Vec<u8>, Mode)>,
    memory: usize,
}

struct Here {
    path: Vec<u8>,
    fd: OwnedFd,
    stat: Stat,
}

impl Tree {
    /// An empty tree in `root`; `aside` is a directory on the same file system, outside of it.
    #[must_use]
    pub fn new(root: OwnedFd, aside: OwnedFd) -> Tree {
        Tree {
            root,
            aside,
            set_aside: 0,
            here: None,
            // The root too, if no entry is about it.
            implied: BTreeSet::from([Vec::new()]),
            closed: Vec::new(),
            memory: 0,
        }
    }

    /// Goes to the directory `path`, and makes what is missing on the way.
    pub fn go_to(&mut self, path: &[u8]) -> Result<(), Fault> {
        if self.here.as_ref().is_some_and(|here| here.path == path) {
            return Ok(());
        }
        self.leave()?;
        let fd = match self.directory(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => self.make_way(path)?,
            found => found.map_err(refusal)?,
        };
        let stat = fstat(&fd).map_err(Fault::io("look at the parent of"))?;
        self.here = Some(Here { path: path.to_vec(), fd, stat });
        Ok(())
    }

    /// Where we are.
    #[must_use]
    pub fn here(&self) -> BorrowedFd<'_> {
        self.here.as_ref().map_or(self.root.as_fd(), |here| here.fd.as_fd())
    }

    /// Whether what is made here gets the group of the directory instead of ours (inode(7)).
    #[must_use]
    pub fn gives_its_group(&self) -> bool {
        let mode = self.here.as_ref().map_or(0, |here| here.stat.st_mode);
        Mode::from_raw_mode(mode).contains(Mode::SGID)
    }

    /// The layer's root.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens the directory `path`, which must be there.
    pub fn directory(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        beneath(self.root.as_fd(), if path.is_empty() { b"." } else { path })
    }

    /// Takes away what has the name `name` here: an entry takes its place.
    pub fn take_away(&mut self, name: &[u8]) -> Result<(), Fault> {
        let result = match unlinkat(self.here(), name, AtFlags::empty()) {
            // EISDIR on Linux; EPERM is what POSIX has for it.
            Err(Errno::ISDIR | Errno::PERM) => {
                self.set_aside += 1;
                renameat(self.here(), name, &self.aside, self.set_aside.to_string())
            }
            result => result,
        };
        result.map_err(Fault::io("replace"))
    }

    /// Says that an entry has named the directory `path`, and what its mode shall be at the end.
    pub fn named(&mut self, path: &[u8], closed: Option<Mode>) -> Result<(), Fault> {
        if !self.implied.is_empty() {
            self.implied.remove(path);
        }
        if let Some(mode) = closed {
            self.remember(path)?;
            self.closed.push((path.to_vec(), mode));
        }
        Ok(())
    }

    /// Gives all directories what they shall have at the end. Returns those that no entry has
    /// named.
    pub fn finish(mut self) -> Result<BTreeSet<Vec<u8>>, Fault> {
        self.leave()?;
        // The deepest first: what is closed cannot be passed through any more.
        self.closed.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        for (path, mode) in &self.closed {
            // One that has been replaced since is not there any more.
            if let Ok(directory) = self.directory(path) {
                fchmod(&directory, *mode).map_err(Fault::io("change the mode of a directory"))?;
            }
        }
        Ok(self.implied)
    }

    /// Gives the directory where we are its own times back, which our doings in it have changed.
    pub fn leave(&mut self) -> Result<(), Fault> {
        let Some(Here { fd, stat, .. }) = self.here.take() else { return Ok(()) };
        futimens(&fd, &times(&stat)).map_err(Fault::io("set the times of the parent of"))
    }

    /// Goes down one by one, and makes what is missing.
    fn make_way(&mut self, path: &[u8]) -> Result<OwnedFd, Fault> {
        let mut fd = beneath(self.root.as_fd(), b".").map_err(refusal)?;
        let mut end = 0;
        for part in path.split(|&byte| byte == b'/') {
            end += part.len();
            let next = match beneath(fd.as_fd(), part) {
                Err(Errno::NOENT) => {
                    self.remember(&path[..end])?;
                    self.implied.insert(path[..end].to_vec());
                    make_implied(fd.as_fd(), part)?
                }
                Err(Errno::NOTDIR) if is_whiteout(fd.as_fd(), part) => {
                    unlinkat(&fd, part, AtFlags::empty()).map_err(Fault::io("replace"))?;
                    let made = make_implied(fd.as_fd(), part)?;
                    mark_opaque(made.as_fd())?;
                    made
                }
                found => found.map_err(refusal)?,
            };
            fd = next;
            end += 1;
        }
        Ok(fd)
    }

    fn remember(&mut self, path: &[u8]) -> Result<(), Fault> {
        self.memory += path.len() + 64;
        if self.memory > MEMORY {
            return Err(Fault::Limit("16 MiB of names of unusual directories".to_owned()));
        }
        Ok(())
    }
}

fn make_implied(parent: BorrowedFd, name: &[u8]) -> Result<OwnedFd, Fault> {
    let mode = Mode::from_raw_mode(0o755);
    // `.` and `..` are always there, and leave it to openat2 to say what they are.
    match mkdirat(parent, name, mode) {
        Err(Errno::EXIST) => {}
        result => result.map_err(refusal)?,
    }
    let directory = beneath(parent, name).map_err(refusal)?;
    // Whatever the caller's umask.
    fchmod(&directory, mode).map_err(Fault::io("change the mode of the parent of"))?;
    Ok(directory)
}

/// The times that something has, to be given back to it.
#[must_use]
pub fn times(stat: &Stat) -> Timestamps {
    #[allow(clippy::cast_possible_wrap)]
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as i64 },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as i64 },
    }
}
