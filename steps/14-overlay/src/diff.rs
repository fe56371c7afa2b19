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

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::sys::stat::{major, minor};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

use crate::whiteout::{is_of_the_overlay, is_opaque, is_whiteout};

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// As long as the kernel lets extended attributes be, see xattr(7).
const LONGEST: usize = 65536;

/// The label of a security module is the host's, who gives a new one to what he unpacks.
const LABEL: &str = "security.selinux";

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
        let kind = stat.file_type();
        if kind.is_dir() {
            self.append(&path.join(""), header(&stat, EntryType::Directory), None, io::empty())?;
            if is_opaque(&file)? {
                self.marker(&path.join(OPAQUE))?;
            }
            return self.directory(path);
        }
        if stat.nlink() > 1 {
            let id = (stat.dev(), stat.ino());
            if let Some(first) = self.written.get(&id).cloned() {
                let header = header(&stat, EntryType::Link);
                return self.append(path, header, Some(&first), io::empty());
            }
            self.written.insert(id, path.to_owned());
        }
        if kind.is_symlink() {
            let target = fs::read_link(&file)?;
            return self.append(
                path,
                header(&stat, EntryType::Symlink),
                Some(&target),
                io::empty(),
            );
        }
        if kind.is_file() {
            let mut header = header(&stat, EntryType::Regular);
            header.set_size(stat.len());
            return self.append(path, header, None, File::open(&file)?);
        }
        let header = if kind.is_char_device() {
            device(&stat, EntryType::Char)?
        } else if kind.is_block_device() {
            device(&stat, EntryType::Block)?
        } else if kind.is_fifo() {
            header(&stat, EntryType::Fifo)
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
            extended.extend(attributes(&self.top.join(path))?);
        }
        let records = extended.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        self.archive.append_pax_extensions(records)?;
        header.set_cksum();
        Ok(self.archive.append(&header, data)?)
    }

    /// Adds an empty file, of which only the name counts.
    fn marker(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut header = blank(EntryType::Regular);
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

/// Every field has a number, and all of them are 0.
fn blank(kind: EntryType) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    for set in [Header::set_uid, Header::set_gid, Header::set_size, Header::set_mtime] {
        set(&mut header, 0);
    }
    set_device(&mut header, 0, 0);
    header
}

fn set_device(header: &mut Header, major: u32, minor: u32) {
    // Only the header of another format would have no place for them.
    let _ = header.set_device_major(major).and_then(|()| header.set_device_minor(minor));
}

fn header(stat: &Metadata, kind: EntryType) -> Header {
    let mut header = blank(kind);
    header.set_mode(stat.mode() & 0o7777);
    header.set_uid(stat.uid().into());
    header.set_gid(stat.gid().into());
    // Before 1970 is not a time that every reader of archives knows.
    header.set_mtime(stat.mtime().try_into().unwrap_or(0));
    header
}

fn device(stat: &Metadata, kind: EntryType) -> anyhow::Result<Header> {
    let mut header = header(stat, kind);
    let number = |number: u64| u32::try_from(number).context("a device number has 32 bits");
    set_device(&mut header, number(major(stat.rdev()))?, number(minor(stat.rdev()))?);
    Ok(header)
}

/// The extended attributes of a file, sorted, under the keys that every container engine uses.
fn attributes(file: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; LONGEST];
    let length = match rustix::fs::llistxattr(file, &mut names[..]) {
        Err(Errno::NOTSUP) => 0,
        length => length.context("list the extended attributes")?,
    };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).map(OsStr::from_bytes) {
        if name.is_empty() || name == LABEL || is_of_the_overlay(name) {
            continue;
        }
        let shown = name.to_str().context("an extended attribute's name is not UTF-8")?;
        let mut value = vec![0; LONGEST];
        let length = rustix::fs::lgetxattr(file, name, &mut value[..])
            .with_context(|| format!("read the extended attribute {shown}"))?;
        value.truncate(length);
        found.push((format!("SCHILY.xattr.{shown}"), value));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests;
