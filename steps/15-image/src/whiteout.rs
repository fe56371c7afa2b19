//! Whiteouts: how a layer says that something is *not* there any more.
//!
//! A layer's archive has an empty file `.wh.NAME` for a name that is gone, and `.wh..wh..opq` in a
//! directory from which everything of the layers below is gone (the OCI image specification,
//! layer.md). overlayfs has a character device 0:0 for the one, and an extended attribute for the
//! other (the kernel's overlayfs.rst). We write what overlayfs reads.
//!
//! Anybody may make that device since Linux 5.8. The attribute is `trusted.overlay.opaque`, which
//! needs `CAP_SYS_ADMIN` on the host; without it is `user.overlay.opaque`, which overlayfs reads
//! where it was mounted with `userxattr`, as it has to be in a user namespace.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Mode, XattrFlags, fsetxattr, major, minor, mknodat, statat};
use rustix::io::Errno;

use crate::error::Fault;

/// What the name of an entry says.
#[derive(Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// Something is here.
    Plain(&'a [u8]),
    /// This name is gone.
    Whiteout(&'a [u8]),
    /// Everything of the layers below is gone from this directory.
    Opaque,
    /// Notes of AUFS to itself, which Docker once stored its layers with, and has passed over
    /// since.
    Aufs,
}

/// Reads the last component of a name.
#[must_use]
pub fn read(name: &[u8]) -> Name<'_> {
    match name.strip_prefix(b".wh.") {
        None => Name::Plain(name),
        Some(b".wh..opq") => Name::Opaque,
        Some(rest) if rest.starts_with(b".wh.") => Name::Aufs,
        Some(gone) => Name::Whiteout(gone),
    }
}

/// Makes a whiteout of the name `name`.
pub fn make(directory: BorrowedFd, name: &[u8]) -> Result<(), Errno> {
    mknodat(directory, name, FileType::CharacterDevice, Mode::empty(), 0)
}

/// Whether there is a whiteout of this name.
#[must_use]
pub fn is_whiteout(directory: BorrowedFd, name: &[u8]) -> bool {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && (major(stat.st_rdev), minor(stat.st_rdev)) == (0, 0)
    })
}

/// Hides what the layers below have in this directory.
pub fn mark_opaque(directory: BorrowedFd) -> Result<(), Fault> {
    let mark = |name: &str| fsetxattr(directory, name, b"y", XattrFlags::empty());
    match mark("trusted.overlay.opaque") {
        Err(Errno::PERM) => mark("user.overlay.opaque"),
        marked => marked,
    }
    .map_err(Fault::io("mark as opaque the directory of"))
}
