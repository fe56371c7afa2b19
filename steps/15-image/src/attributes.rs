//! Owner, extended attributes, mode and times of an entry: everything but its content.
//!
//! The order matters. chown(2) takes set-uid bits and capabilities away, so they come after it; a
//! read-only file takes no attributes from an ordinary user, so the mode comes after them; and the
//! times come last, because everything else changes them.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fsetxattr, futimens, lsetxattr, utimensat,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use crate::entry::{Entry, Kind};
use crate::error::Fault;
use crate::notices::Notices;

/// What gets attributes.
#[derive(Clone, Copy)]
pub enum Node<'a> {
    /// A file or directory that we have open.
    Open(BorrowedFd<'a>),
    /// What has this name in a directory, and cannot be opened: a link, a pipe, a device.
    Named(BorrowedFd<'a>, &'a [u8]),
}

/// On whose behalf files are made, as the file system sees it.
#[derive(Clone, Copy)]
pub struct Caller {
    uid: Uid,
    gid: Gid,
}

impl Caller {
    /// This process.
    #[must_use]
    pub fn present() -> Caller {
        Caller { uid: geteuid(), gid: getegid() }
    }

    /// Whether modes keep him out of his own directories.
    #[must_use]
    pub fn is_ordinary(self) -> bool {
        !self.uid.is_root()
    }

    /// Gives `node` what `entry` says, and notes down what it could not have. `group_differs` says
    /// that the node was made with another group than the caller's.
    pub fn apply(
        self,
        node: Node,
        entry: &Entry,
        group_differs: bool,
        notices: &mut Notices,
    ) -> Result<(), Fault> {
        let is_given = self.give(node, entry, group_differs, notices)?;
        for (name, value) in &entry.xattrs {
            set_xattr(node, name, value, notices)?;
        }
        let mut mode = Mode::from_raw_mode(entry.mode);
        if !is_given && entry.kind != Kind::Directory && mode.intersects(Mode::SUID | Mode::SGID) {
            // It would run as the caller, for whomever may run it.
            mode -= Mode::SUID | Mode::SGID;
            notices.set_ids += 1;
        }
        set_mode(node, entry.kind, mode)?;
        set_times(node, entry.mtime)
    }

    /// Makes the entry's owner the owner; says whether the node is then whose it should be.
    fn give(
        self,
        node: Node,
        entry: &Entry,
        group_differs: bool,
        notices: &mut Notices,
    ) -> Result<bool, Fault> {
        if self.is_ordinary() {
            // In a container of his, he is root himself: what is root's there may be his here.
            let is_roots = (entry.uid, entry.gid) == (0, 0);
            let is_own = (entry.uid, entry.gid) == (self.uid.as_raw(), self.gid.as_raw());
            notices.owners += u64::from(!is_roots && !is_own);
            return Ok(is_roots || is_own);
        }
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        if (uid, gid) == (self.uid, self.gid) && !group_differs {
            return Ok(true);
        }
        let given = match node {
            Node::Open(fd) => fchown(fd, Some(uid), Some(gid)),
            Node::Named(directory, name) => {
                chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            }
        };
        match given {
            // EINVAL: a user namespace that has no such id.
            Err(Errno::INVAL | Errno::PERM) => {
                notices.owners += 1;
                Ok(false)
            }
            given => given.map(|()| true).map_err(Fault::io("change the owner of")),
        }
    }
}

fn set_xattr(node: Node, name: &[u8], value: &[u8], notices: &mut Notices) -> Result<(), Fault> {
    // To overlayfs these say where a directory continues and whose data a file has. That is for us
    // to say, and not for an image.
    let is_overlays = name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
    if is_overlays {
        notices.xattrs += 1;
        return Ok(());
    }
    let flags = XattrFlags::empty();
    let set = match node {
        Node::Open(fd) => fsetxattr(fd, name, value, flags),
        Node::Named(directory, file) => {
            // There is no `setxattrat` before Linux 6.13. This link of /proc leads to the
            // directory that is open, wherever it is, and what follows it is one component that is
            // not followed.
            let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
            path.extend_from_slice(file);
            lsetxattr(path, name, value, flags)
        }
    };
    match set {
        Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::INVAL) => notices.xattrs += 1,
        // Limits of every file system's (xattr(7)), so it is the archive that asks for too much.
        Err(Errno::RANGE | Errno::TOOBIG) => {
            return Err(Fault::Refused(
                "an extended attribute's name is empty or above 255 bytes, or its value above 64 KiB"
                    .to_owned(),
            ));
        }
        set => set.map_err(Fault::io("set an extended attribute of"))?,
    }
    Ok(())
}

fn set_mode(node: Node, kind: Kind, mode: Mode) -> Result<(), Fault> {
    match node {
        _ if kind == Kind::Symlink => Ok(()),
        Node::Open(fd) => fchmod(fd, mode),
        // It has just been made here, and is no link.
        Node::Named(directory, name) => chmodat(directory, name, mode, AtFlags::empty()),
    }
    .map_err(Fault::io("change the mode of"))
}

fn set_times(node: Node, (tv_sec, nanoseconds): (i64, u32)) -> Result<(), Fault> {
    let time = Timespec { tv_sec, tv_nsec: nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    match node {
        Node::Open(fd) => futimens(fd, &times),
        Node::Named(directory, name) => {
            utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        }
    }
    .map_err(Fault::io("set the times of"))
}
