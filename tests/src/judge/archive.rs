//! Tar archives for images: right ones, and such as no tool would write.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::stat::{major, minor};
use rustix::fs::{lgetxattr, llistxattr};
use tar::{Builder, EntryType, Header};

/// What an entry says about a file beside its name and content.
#[derive(Clone, Debug)]
pub struct About {
    pub kind: EntryType,
    pub mode: u32,
    pub owner: (u32, u32),
    /// Seconds and nanoseconds after 1970.
    pub mtime: (u64, u32),
    /// Where a link leads.
    pub target: Vec<u8>,
    /// The numbers of a device.
    pub device: (u32, u32),
    pub attributes: Vec<(String, Vec<u8>)>,
}

impl About {
    /// A file or directory of root's with this mode.
    pub fn new(kind: EntryType, mode: u32) -> About {
        let mtime = (1_000_000_000, 0);
        let (target, attributes) = (Vec::new(), Vec::new());
        About { kind, mode, owner: (0, 0), mtime, target, device: (0, 0), attributes }
    }

    /// A link to `target`.
    pub fn link(kind: EntryType, target: impl AsRef<[u8]>) -> About {
        About { target: target.as_ref().to_vec(), ..About::new(kind, 0o777) }
    }
}

/// An archive in the making.
pub struct Archive(Builder<Vec<u8>>);

impl Archive {
    pub fn new() -> Archive {
        Archive(Builder::new(Vec::new()))
    }

    /// One more entry. The name is written as it is, however wrong.
    pub fn entry(mut self, name: impl AsRef<[u8]>, about: &About, data: &[u8]) -> Self {
        self.add(name.as_ref(), about, data);
        self
    }

    pub fn file(self, name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        self.entry(name, &About::new(EntryType::Regular, 0o644), data.as_ref())
    }

    pub fn directory(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(name, &About::new(EntryType::Directory, 0o755), b"")
    }

    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(name, &About::link(EntryType::Symlink, target), b"")
    }

    pub fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(name, &About::link(EntryType::Link, target), b"")
    }

    /// The bytes, with the two blocks at the end.
    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("a vector takes what is written to it")
    }

    fn add(&mut self, name: &[u8], about: &About, data: &[u8]) {
        let mut records: Vec<(String, &[u8])> = Vec::new();
        // A header has whole seconds.
        let mtime = format!("{}.{:09}", about.mtime.0, about.mtime.1);
        if about.mtime.1 > 0 {
            records.push(("mtime".to_owned(), mtime.as_bytes()));
        }
        let mut header = Header::new_ustar();
        let old = header.as_old_mut();
        // What does not fit stands in an extended header.
        for (key, text, field) in [
            ("path", name, &mut old.name),
            ("linkpath", about.target.as_slice(), &mut old.linkname),
        ] {
            if text.len() > field.len() {
                records.push((key.to_owned(), text));
            } else {
                field[..text.len()].copy_from_slice(text);
            }
        }
        for (attribute, value) in &about.attributes {
            records.push((format!("SCHILY.xattr.{attribute}"), value));
        }
        header.set_entry_type(about.kind);
        header.set_mode(about.mode);
        header.set_uid(about.owner.0.into());
        header.set_gid(about.owner.1.into());
        header.set_mtime(about.mtime.0);
        header.set_size(data.len() as u64);
        if about.device != (0, 0) {
            let (major, minor) = about.device;
            let fits = header.set_device_major(major).and(header.set_device_minor(minor));
            fits.expect("a ustar header has devices");
        }
        header.set_cksum();
        if !records.is_empty() {
            let records = records.iter().map(|(key, value)| (key.as_str(), *value));
            self.0.append_pax_extensions(records).expect("a vector takes it");
        }
        self.0.append(&header, data).expect("a vector takes it");
    }

    /// Everything in a directory, as a layer has it: what overlayfs keeps as a whiteout or as an
    /// attribute is an entry `.wh.…`.
    pub fn of_tree(tree: &Path) -> Result<Archive> {
        let mut archive = Archive::new();
        let mut seen = HashMap::new();
        archive.add_tree(tree, Path::new(""), &mut seen)?;
        Ok(archive)
    }

    fn add_tree(
        &mut self,
        tree: &Path,
        name: &Path,
        seen: &mut HashMap<(u64, u64), PathBuf>,
    ) -> Result<()> {
        let path = tree.join(name);
        let file =
            fs::symlink_metadata(&path).with_context(|| format!("stat {}", path.display()))?;
        let mut about = about(&path, &file)?;
        let bytes = name.as_os_str().as_bytes();
        if is_whiteout(&file) {
            self.add(&whiteout(name), &About::new(EntryType::Regular, 0o644), b"");
        } else if let Some(first) = seen.get(&(file.dev(), file.ino())).filter(|_| !file.is_dir()) {
            self.add(bytes, &About::link(EntryType::Link, first.as_os_str().as_bytes()), b"");
        } else if file.is_dir() {
            let is_opaque = |(name, _): &(String, Vec<u8>)| name.ends_with(".overlay.opaque");
            let opaque = about.attributes.iter().any(is_opaque);
            about.attributes.retain(|attribute| !is_opaque(attribute));
            self.add(if bytes.is_empty() { b"./" } else { bytes }, &about, b"");
            if opaque {
                let mark = name.join(".wh..wh..opq");
                let about = About::new(EntryType::Regular, 0o644);
                self.add(mark.as_os_str().as_bytes(), &about, b"");
            }
            let mut entries: Vec<_> = fs::read_dir(&path)
                .with_context(|| format!("read {}", path.display()))?
                .collect::<std::io::Result<_>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                self.add_tree(tree, &name.join(entry.file_name()), seen)?;
            }
        } else if !file.file_type().is_socket() {
            seen.insert((file.dev(), file.ino()), name.to_owned());
            let data =
                if file.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
            self.add(bytes, &about, &data);
        }
        Ok(())
    }
}

fn is_whiteout(file: &Metadata) -> bool {
    file.file_type().is_char_device() && file.rdev() == 0
}

fn whiteout(name: &Path) -> Vec<u8> {
    let last = [b".wh.", name.file_name().unwrap_or_default().as_bytes()].concat();
    let parent = name.parent().unwrap_or(name).as_os_str().as_bytes();
    if parent.is_empty() { last } else { [parent, b"/", &last].concat() }
}

fn about(path: &Path, file: &Metadata) -> Result<About> {
    let kind = file.file_type();
    let kind = if kind.is_dir() {
        EntryType::Directory
    } else if kind.is_symlink() {
        EntryType::Symlink
    } else if kind.is_char_device() {
        EntryType::Char
    } else if kind.is_block_device() {
        EntryType::Block
    } else if kind.is_fifo() {
        EntryType::Fifo
    } else {
        EntryType::Regular
    };
    let target = match kind {
        EntryType::Symlink => fs::read_link(path)?.as_os_str().as_bytes().to_vec(),
        _ => Vec::new(),
    };
    let is_device = matches!(kind, EntryType::Char | EntryType::Block);
    let device = (number_of(major(file.rdev())), number_of(minor(file.rdev())));
    Ok(About {
        kind,
        mode: file.mode() & 0o7777,
        owner: (file.uid(), file.gid()),
        mtime: (u64::try_from(file.mtime()).unwrap_or(0), number_of(file.mtime_nsec())),
        target,
        device: if is_device { device } else { (0, 0) },
        attributes: attributes(path),
    })
}

/// A number that the kernel gives in more bits than it has.
fn number_of(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(0)
}

/// Those that can be read; where there are none at all, none.
fn attributes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 65536];
    let length = llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    let value = |name: &str| {
        let mut value = vec![0; 65536];
        let length = lgetxattr(path, name, &mut value[..]).ok()?;
        value.truncate(length);
        Some((name.to_owned(), value))
    };
    names.split('\0').filter(|name| !name.is_empty()).filter_map(value).collect()
}
