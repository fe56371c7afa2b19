//! Names, resolved beneath an open directory.
//!
//! Nobody looks at a name here to judge whether it is safe. The kernel resolves it, with
//! openat2(2): `RESOLVE_BENEATH` refuses `..` and absolute links that lead out of the directory,
//! and `RESOLVE_NO_SYMLINKS` every symbolic link on the way. So it does not matter what an archive
//! has put there before, and no moment lies between a check and its use.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat2, statat};
use rustix::io::Errno;

use crate::error::Fault;

/// Opens a directory beneath another one, without passing through any link.
pub fn beneath(directory: BorrowedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    openat2(directory, path, flags, Mode::empty(), resolve)
}

/// What the kernel has against a name, in words.
#[must_use]
pub fn refusal(errno: Errno) -> Fault {
    let why = match errno {
        Errno::XDEV => "it leads out of the layer's root",
        Errno::LOOP => "it passes through a symbolic link",
        Errno::NOTDIR => "it passes through something that is not a directory",
        Errno::NAMETOOLONG => "a part of its name is longer than the file system takes",
        errno => return Fault::Io("unpack".to_owned(), errno.into()),
    };
    Fault::Refused(why.to_owned())
}

/// The type of what is called `name`, if there is anything.
#[must_use]
pub fn kind_of(directory: BorrowedFd, name: &[u8]) -> Option<FileType> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}
