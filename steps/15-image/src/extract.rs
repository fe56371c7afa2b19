//! One entry after the other, each at its place.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fchmod, mkdirat, openat};
use rustix::io::Errno;

use crate::attributes::{Caller, Node};
use crate::beneath::{kind_of, refusal};
use crate::entries::Entries;
use crate::entry::{Entry, Kind, place};
use crate::error::Fault;
use crate::limits::Limits;
use crate::notices::Notices;
use crate::stream::Stream;
use crate::tree::Tree;
use crate::whiteout::{self, Name};

/// Puts entries into a layer's tree.
pub struct Extractor<'a> {
    pub(crate) tree: Tree,
    pub(crate) caller: Caller,
    pub(crate) limits: &'a Limits,
    pub(crate) found: Found,
}

/// What a layer turned out to have in it.
#[derive(Debug, Default)]
pub struct Found {
    /// How many entries.
    pub entries: u64,
    /// Whether it hides everything that is below it.
    pub is_opaque: bool,
    /// Directories that lead to entries, and are none themselves.
    pub implied: BTreeSet<Vec<u8>>,
    /// What was done otherwise.
    pub notices: Notices,
}

impl Extractor<'_> {
    /// Begins with an empty tree.
    #[must_use]
    pub fn new(tree: Tree, limits: &Limits) -> Extractor<'_> {
        Extractor { tree, caller: Caller::present(), limits, found: Found::default() }
    }

    /// Puts `entry` at its place, with its data out of `archive`.
    pub fn put<S: Stream>(&mut self, entry: &Entry, archive: &mut Entries<S>) -> Result<(), Fault> {
        self.found.entries += 1;
        if self.found.entries > self.limits.entries {
            return Err(Fault::Limit(format!("{} entries (--max-entries)", self.limits.entries)));
        }
        entry.check_names()?;
        let (parent, name) = place(&entry.path);
        match whiteout::read(name) {
            Name::Aufs => return Ok(()),
            _ if is_aufs(&parent)? => return Ok(()),
            Name::Plain(b"") => return self.root(entry),
            Name::Plain(b"..") | Name::Whiteout(b"" | b"." | b"..") => {
                return Err(Fault::Refused("it names nothing that could be in a layer".to_owned()));
            }
            _ => self.tree.go_to(&parent)?,
        }
        match whiteout::read(name) {
            Name::Opaque => self.opaque(&parent),
            Name::Whiteout(gone) => self.whiteout(gone),
            _ => self.node(entry, &parent, name, archive),
        }
    }

    /// Ends with the layer's root.
    pub fn finish(mut self) -> Result<Found, Fault> {
        self.found.implied = self.tree.finish()?;
        Ok(self.found)
    }

    fn node<S: Stream>(
        &mut self,
        entry: &Entry,
        parent: &[u8],
        name: &[u8],
        archive: &mut Entries<S>,
    ) -> Result<(), Fault> {
        match entry.kind {
            Kind::Directory => self.directory(entry, parent, name),
            Kind::File => self.file(entry, name, archive),
            Kind::HardLink => self.hard_link(entry, name),
            Kind::Symlink => self.symlink(entry, name),
            Kind::Fifo | Kind::Character | Kind::Block => self.special(entry, name),
        }
    }

    fn root(&mut self, entry: &Entry) -> Result<(), Fault> {
        if entry.kind != Kind::Directory {
            return Err(Fault::Refused("the root of a layer is a directory".to_owned()));
        }
        self.tree.leave()?;
        self.attributes_of_directory(entry, b"", None)
    }

    fn directory(&mut self, entry: &Entry, parent: &[u8], name: &[u8]) -> Result<(), Fault> {
        let mode = Mode::from_raw_mode(0o700);
        let path = if parent.is_empty() { name.to_vec() } else { [parent, name].join(&b'/') };
        let is_there = kind_of(self.tree.here(), name) == Some(FileType::Directory);
        if !is_there {
            let replaces = self.make(name, |here| mkdirat(here, name, mode))?.1;
            let directory = self.tree.directory(&path).map_err(refusal)?;
            // What was here, a whiteout or a file, hid what is below. So does the new directory.
            if replaces {
                whiteout::mark_opaque(directory.as_fd())?;
            }
            return self.attributes_of_directory(entry, &path, Some(&directory));
        }
        self.attributes_of_directory(entry, &path, None)
    }

    fn attributes_of_directory(
        &mut self,
        entry: &Entry,
        path: &[u8],
        open: Option<&OwnedFd>,
    ) -> Result<(), Fault> {
        let opened;
        let directory = if let Some(open) = open {
            open.as_fd()
        } else {
            opened = self.tree.directory(path).map_err(refusal)?;
            opened.as_fd()
        };
        let mode = Mode::from_raw_mode(entry.mode);
        // What an ordinary user may not write to he could not fill either.
        let is_closed = self.caller.is_ordinary() && !mode.contains(Mode::RWXU);
        self.tree.named(path, is_closed.then_some(mode))?;
        let caller = self.caller;
        caller.apply(Node::Open(directory), entry, true, &mut self.found.notices)?;
        if is_closed {
            fchmod(directory, mode | Mode::RWXU).map_err(Fault::io("change the mode of"))?;
        }
        Ok(())
    }

    fn opaque(&mut self, parent: &[u8]) -> Result<(), Fault> {
        // overlayfs does not look for the mark on the root of a layer. Whoever mounts it leaves out
        // what is below.
        self.found.is_opaque |= parent.is_empty();
        whiteout::mark_opaque(self.tree.here())
    }

    /// A whiteout is about the layers below. What this layer has itself stays, whichever came
    /// first.
    fn whiteout(&mut self, gone: &[u8]) -> Result<(), Fault> {
        match whiteout::make(self.tree.here(), gone) {
            Err(Errno::EXIST) if kind_of(self.tree.here(), gone) == Some(FileType::Directory) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = openat(self.tree.here(), gone, flags, Mode::empty());
                whiteout::mark_opaque(directory.map_err(refusal)?.as_fd())
            }
            Err(Errno::EXIST) => Ok(()),
            made => made.map_err(refusal),
        }
    }
}

/// Whether this is something that AUFS had beside its files. Nothing else can be in a whiteout.
fn is_aufs(parent: &[u8]) -> Result<bool, Fault> {
    let mut parts = parent.split(|&byte| byte == b'/').map(whiteout::read);
    match parts.find(|part| !matches!(part, Name::Plain(_))) {
        None => Ok(false),
        Some(Name::Aufs) => Ok(true),
        Some(_) => Err(Fault::Refused("it would be in a whiteout".to_owned())),
    }
}
