//! Files, links and devices: an entry at its place, in the directory where the tree is.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, SeekFrom, ftruncate, linkat, makedev, mknodat, openat, seek,
    statat, symlinkat,
};
use rustix::io::{Errno, write};

use crate::attributes::Node;
use crate::beneath::refusal;
use crate::entries::Entries;
use crate::entry::{Entry, Kind, place, shown};
use crate::error::Fault;
use crate::extract::Extractor;
use crate::stream::Stream;
use crate::whiteout;

/// What has been made here.
#[derive(Clone, Copy)]
enum Made<'a> {
    Open(&'a OwnedFd),
    Named(&'a [u8]),
}

impl Extractor<'_> {
    /// A file, with its data out of `archive`.
    pub(crate) fn file<S: Stream>(
        &mut self,
        entry: &Entry,
        name: &[u8],
        archive: &mut Entries<S>,
    ) -> Result<(), Fault> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let (file, _) = self.make(name, |here| openat(here, name, flags, mode))?;
        match &entry.sparse {
            None => archive.copy(entry.data, |bytes| write_all(&file, bytes))?,
            Some(sparse) => {
                if sparse.size > self.limits.bytes {
                    let limit = format!("{} bytes in a file (--max-bytes)", self.limits.bytes);
                    return Err(Fault::Limit(limit));
                }
                for &(offset, length) in &sparse.pieces {
                    seek(&file, SeekFrom::Start(offset)).map_err(Fault::io("write"))?;
                    archive.copy(length, |bytes| write_all(&file, bytes))?;
                }
                ftruncate(&file, sparse.size).map_err(Fault::io("set the size of"))?;
            }
        }
        self.attributes(entry, Made::Open(&file))
    }

    /// One more name for a file of this layer.
    pub(crate) fn hard_link(&mut self, entry: &Entry, name: &[u8]) -> Result<(), Fault> {
        let (parent, old) = place(&entry.target);
        let missing = || {
            let what = shown(&entry.target);
            Fault::Refused(format!("it links to {what}, and this layer has no such file"))
        };
        let parent = self.tree.directory(&parent).map_err(|errno| match errno {
            Errno::NOENT => missing(),
            errno => refusal(errno),
        })?;
        if old.is_empty() || whiteout::is_whiteout(parent.as_fd(), old) {
            return Err(missing());
        }
        if is_same(parent.as_fd(), old, self.tree.here(), name) {
            return Ok(());
        }
        let linked =
            self.try_make(name, |here| linkat(&parent, old, here, name, AtFlags::empty()))?;
        match linked {
            Err(Errno::NOENT | Errno::PERM) => Err(missing()),
            linked => linked.map(drop).map_err(refusal),
        }
    }

    /// A link, which leads wherever it says: nobody follows it here.
    pub(crate) fn symlink(&mut self, entry: &Entry, name: &[u8]) -> Result<(), Fault> {
        self.make(name, |here| symlinkat(&*entry.target, here, name))?;
        self.attributes(entry, Made::Named(name))
    }

    /// A pipe or a device; the latter only root can make.
    pub(crate) fn special(&mut self, entry: &Entry, name: &[u8]) -> Result<(), Fault> {
        let kind = match entry.kind {
            Kind::Character => FileType::CharacterDevice,
            Kind::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = makedev(entry.device.0, entry.device.1);
        let mode = Mode::from_raw_mode(0o600);
        match self.try_make(name, |here| mknodat(here, name, kind, mode, device))? {
            Err(Errno::PERM) => {
                self.found.notices.devices += 1;
                Ok(())
            }
            result => {
                result.map_err(refusal)?;
                self.attributes(entry, Made::Named(name))
            }
        }
    }

    fn attributes(&mut self, entry: &Entry, made: Made) -> Result<(), Fault> {
        let node = match made {
            Made::Open(file) => Node::Open(file.as_fd()),
            Made::Named(name) => Node::Named(self.tree.here(), name),
        };
        let group_differs = self.tree.gives_its_group();
        self.caller.apply(node, entry, group_differs, &mut self.found.notices)
    }

    /// Makes something here, in the place of what is there. Says whether there was something.
    pub(crate) fn make<T>(
        &mut self,
        name: &[u8],
        make: impl Fn(BorrowedFd) -> Result<T, Errno>,
    ) -> Result<(T, bool), Fault> {
        self.try_make(name, make)?.map_err(refusal)
    }

    fn try_make<T>(
        &mut self,
        name: &[u8],
        make: impl Fn(BorrowedFd) -> Result<T, Errno>,
    ) -> Result<Result<(T, bool), Errno>, Fault> {
        match make(self.tree.here()) {
            Err(Errno::EXIST) => {
                self.tree.take_away(name)?;
                Ok(make(self.tree.here()).map(|made| (made, true)))
            }
            result => Ok(result.map(|made| (made, false))),
        }
    }
}

/// Whether two names are of one file already.
fn is_same(a: BorrowedFd, a_name: &[u8], b: BorrowedFd, b_name: &[u8]) -> bool {
    let identity = |directory: BorrowedFd, name: &[u8]| {
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_dev, stat.st_ino))
    };
    identity(a, a_name).is_some_and(|a| identity(b, b_name) == Some(a))
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Fault> {
    while !bytes.is_empty() {
        match write(file, bytes) {
            Err(Errno::INTR) => {}
            written => bytes = &bytes[written.map_err(Fault::io("write"))?..],
        }
    }
    Ok(())
}
