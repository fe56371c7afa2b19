//! A writable layer becomes a layer of an image: what commit does.
//!
//! The writable layer holds what the container changed, and nothing else, so all of it goes into
//! the archive. Only the whiteouts are written differently: an archive is for any system, and has
//! them as empty files with names of their own, `.wh.NAME` for what is gone, and `.wh..wh..opq` in
//! a directory that hides those below it (the OCI's image specification, `layer.md`).
//!
//! The same files always give the same archive, byte by byte, because an image is named by a digest
//! of its layers: names are sorted, and what differs without a reason, such as names of users or
//! the time of the last access, is left out. (As in Docker's layers, times are whole seconds, and
//! the directory at the top is not among the entries.)

mod header;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tar::{Builder, EntryType, Header};

use crate::whiteout::{is_opaque, is_whiteout};

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Writes the layer in the directory `upper` to `archive`, as a tar archive. Nothing may change in
/// it meanwhile.
pub fn write_layer(upper: &Path, archive: impl Write) -> anyhow::Result<()> {
    let mut layer = Layer { top: upper, archive: Builder::new(archive), written: HashMap::new() };
    layer.directory(Path::new(""))?;
    layer.archive.finish().context("write the archive")
}

struct Layer<'d, W: Write> {
    top: &'d Path,
    archive: Builder<W>,
    /// Files with several names, and the first of these in the archive.
    written: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Layer<'_, W> {
    /// Adds all that is in a directory.
    fn directory(&mut self, path: &Path) -> anyhow::Result<()> {
        let directory = self.top.join(path);
        let shown = directory.display();
        let entries = fs::read_dir(&directory).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<OsString>>>()
        });
        let mut names = entries.with_context(|| format!("list {shown}"))?;
        names.sort_unstable();
        for name in names {
            let path = path.join(name);
            self.entry(&path)
                .with_context(|| format!("archive {}", self.top.join(&path).display()))?;
        }
        Ok(())
    }

    /// Adds one file or directory, or says that it is gone.
    fn entry(&mut self, path: &Path) -> anyhow::Result<()> {
        let file = self.top.join(path);
        let stat = fs::symlink_metadata(&file)?;
        let name = path.file_name().unwrap_or_default();
        if is_whiteout(stat.mode(), stat.rdev()) {
            let marker = [WHITEOUT.as_bytes(), name.as_bytes()].concat();
            return self.marker(&path.with_file_name(OsString::from_vec(marker)));
        }
        if name.as_bytes().starts_with(WHITEOUT.as_bytes()) {
            bail!("in an image a name that begins with {WHITEOUT} means that something is gone");
        }
        if stat.is_dir() {
            let header = header::of(&stat, EntryType::Directory);
            self.append(&path.join(""), header, None, io::empty())?;
            if is_opaque(&file)? {
                self.marker(&path.join(OPAQUE))?;
            }
            return self.directory(path);
        }
        if stat.nlink() > 1 && self.is_link(path, &stat)? {
            return Ok(());
        }
        self.file(path, &stat)
    }

    /// Adds a further name of a file that is in the archive already, or remembers its first one.
    fn is_link(&mut self, path: &Path, stat: &Metadata) -> anyhow::Result<bool> {
        match self.written.entry((stat.dev(), stat.ino())) {
            Entry::Vacant(place) => {
                place.insert(path.to_owned());
                Ok(false)
            }
            Entry::Occupied(place) => {
                let first = place.get().clone();
                let header = header::of(stat, EntryType::Link);
                self.append(path, header, Some(&first), io::empty())?;
                Ok(true)
            }
        }
    }

    /// Adds whatever is no directory.
    fn file(&mut self, path: &Path, stat: &Metadata) -> anyhow::Result<()> {
        let file = self.top.join(path);
        let kind = stat.file_type();
        if kind.is_file() {
            let mut header = header::of(stat, EntryType::Regular);
            header.set_size(stat.len());
            return self.append(path, header, None, File::open(&file)?);
        }
        if kind.is_symlink() {
            let header = header::of(stat, EntryType::Symlink);
            return self.append(path, header, Some(&fs::read_link(&file)?), io::empty());
        }
        let header = if kind.is_char_device() {
            header::of_device(stat, EntryType::Char)?
        } else if kind.is_block_device() {
            header::of_device(stat, EntryType::Block)?
        } else if kind.is_fifo() {
            header::of(stat, EntryType::Fifo)
        } else {
            return Ok(()); // A socket means nothing without the process that listens on it.
        };
        self.append(path, header, None, io::empty())
    }

    /// Adds one entry, and before it as extended header what does not fit into its own.
    fn append(
        &mut self,
        path: &Path,
        mut header: Header,
        link: Option<&Path>,
        data: impl io::Read,
    ) -> anyhow::Result<()> {
        let mut extended = Vec::new();
        if header.set_path(path).is_err() {
            extended.push(("path".to_owned(), path.as_os_str().as_bytes().to_vec()));
        }
        if let Some(link) = link {
            // As it is: a target may begin with `/` or `..`, and is nobody's business but its own.
            if header.set_link_name_literal(link.as_os_str().as_bytes()).is_err() {
                extended.push(("linkpath".to_owned(), link.as_os_str().as_bytes().to_vec()));
            }
        }
        if header.entry_type() != EntryType::Link {
            extended.extend(header::attributes(&self.top.join(path))?);
        }
        let records = extended.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        self.archive.append_pax_extensions(records)?;
        header.set_cksum();
        Ok(self.archive.append(&header, data)?)
    }

    /// Adds an empty file, of which only the name counts.
    fn marker(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut header = header::blank(EntryType::Regular);
        header.set_mode(0o600);
        let mut extended = Vec::new();
        if header.set_path(path).is_err() {
            extended.push(("path", path.as_os_str().as_bytes()));
        }
        self.archive.append_pax_extensions(extended)?;
        header.set_cksum();
        Ok(self.archive.append(&header, io::empty())?)
    }
}

#[cfg(test)]
mod tests;
