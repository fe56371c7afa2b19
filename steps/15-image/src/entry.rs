//! One entry of an archive: a name, and what is to be there.

use crate::error::Fault;
use crate::limits::Limits;
use crate::sparse::Sparse;

/// What an entry makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with data.
    File,
    /// One more name for a file that is there already.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A character device.
    Character,
    /// A block device.
    Block,
}

/// An entry as the archive has it, its extended headers included. Nothing in it is to be trusted.
#[derive(Debug)]
pub struct Entry {
    /// What it makes.
    pub kind: Kind,
    /// Its name, with whatever an archive's author may write.
    pub path: Vec<u8>,
    /// Where a link leads.
    pub target: Vec<u8>,
    /// The permissions, with set-uid, set-gid and sticky bit.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// Seconds and nanoseconds since 1970 of the last change.
    pub mtime: (i64, u32),
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Names and values of extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many bytes of data follow in the archive.
    pub data: u64,
    /// Where they belong, if there are holes between them.
    pub sparse: Option<Sparse>,
}

impl Entry {
    /// Fails if a name is one that no system call takes, so that it is said in words.
    pub fn check_names(&self) -> Result<(), Fault> {
        for (what, name) in [("its name", &self.path), ("its target", &self.target)] {
            if name.len() > Limits::PATH {
                return Err(too_long(what, name.len() as u64));
            }
            if name.contains(&0) {
                return Err(Fault::Refused(format!("{what} has a NUL in it")));
            }
        }
        if self.path.is_empty() {
            return Err(Fault::Refused("it has no name".to_owned()));
        }
        if self.kind == Kind::Symlink && self.target.is_empty() {
            return Err(Fault::Refused("it links to an empty name".to_owned()));
        }
        Ok(())
    }
}

/// Parent directory and last component of a name; both are empty for the root.
///
/// What is taken off here means nothing: slashes at the front and doubled ones, `.`. Whether the
/// parent lies beneath the root is for the kernel to say, not for us.
#[must_use]
pub fn place(path: &[u8]) -> (Vec<u8>, &[u8]) {
    let is_meant = |part: &&[u8]| !part.is_empty() && *part != b".";
    let mut parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(is_meant).collect();
    let name = parts.pop().unwrap_or_default();
    (parts.join(&b'/'), name)
}

/// The refusal of a name of `length` bytes.
#[must_use]
pub fn too_long(what: &str, length: u64) -> Fault {
    Fault::Refused(format!("{what} has {length} bytes, and the kernel takes {}", Limits::PATH))
}

/// A stranger's name for a message: quoted, without control characters, and not a page long.
#[must_use]
pub fn shown(name: &[u8]) -> String {
    const ENOUGH: usize = 100;
    let text = String::from_utf8_lossy(&name[..name.len().min(ENOUGH)]);
    let dots = if name.len() > ENOUGH { "…" } else { "" };
    format!("{text:?}{dots}")
}
