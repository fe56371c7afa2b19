//! The files of an image: in a directory, or in a tar archive of it.
//!
//! The archive is not unpacked. One walk over its headers says where each file begins, and then any of
//! them can be read, several at once.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use crate::digest::digest_of;
use crate::entries::Entries;
use crate::entry::{Kind, shown};
use crate::error::{Fault, ImageError};
use crate::limits::Limits;
use crate::stream::FileStream;

/// Where the files of an image are.
pub enum Source {
    /// A directory.
    Directory(OwnedFd),
    /// A tar archive, and what is where in it.
    Archive(Arc<File>, HashMap<Vec<u8>, Content>),
}

/// What an archive has under a name.
pub enum Content {
    /// Bytes, from an offset.
    File(u64, u64),
    /// The same as under another name: old archives of Docker have links between layers.
    Link(Vec<u8>),
}

/// Some of the bytes of a file.
pub struct Blob {
    file: Arc<File>,
    offset: u64,
    size: u64,
}

impl Source {
    /// Opens a directory, or walks over an archive.
    pub fn open(path: &Path) -> Result<Source, ImageError> {
        let what = path.display().to_string();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(CWD, path, flags, Mode::empty());
        let file = file.map_err(ImageError::io(format!("open image {what}")))?;
        let stat = fstat(&file).map_err(ImageError::io(format!("open image {what}")))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Ok(Source::Directory(file)),
            FileType::RegularFile => {
                let file = Arc::new(File::from(file));
                #[allow(clippy::cast_sign_loss)] // A file has no size below 0.
                let contents = contents(&file, stat.st_size as u64);
                let contents = contents.map_err(|fault| fault.within(&what, None))?;
                Ok(Source::Archive(file, contents))
            }
            _ => Err(ImageError::Reference { what, why: "neither directory nor file".to_owned() }),
        }
    }

    /// Whether there is a file of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.blob(name).is_ok()
    }

    /// The file of this name.
    pub fn blob(&self, name: &str) -> Result<Blob, ImageError> {
        match self {
            Source::Directory(directory) => in_directory(directory, name),
            Source::Archive(file, contents) => {
                let (offset, size) = in_archive(contents, name)?;
                Ok(Blob { file: Arc::clone(file), offset, size })
            }
        }
    }

    /// A whole document of this name, with its digest.
    pub fn document(&self, name: &str) -> Result<(Vec<u8>, oci_spec::image::Digest), ImageError> {
        let blob = self.blob(name)?;
        if blob.size > Limits::DOCUMENT {
            let limit = format!("{} bytes, too much for a document", Limits::DOCUMENT);
            return Err(ImageError::Limit { what: name.to_owned(), limit });
        }
        let length = usize::try_from(blob.size).unwrap_or(0);
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let rest = blob.read_at(bytes.len() as u64, length);
            bytes.extend(rest.map_err(ImageError::io(format!("read {name}")))?);
        }
        let digest = digest_of(&bytes);
        Ok((bytes, digest))
    }
}

impl Blob {
    /// In bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// At most `most` bytes from `offset` on, and none at the end.
    pub fn read_at(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let rest = usize::try_from(self.size - offset).unwrap_or(usize::MAX);
        let mut bytes = vec![0; rest.min(most)];
        let count = self.file.read_at(&mut bytes, self.offset + offset)?;
        if count == 0 && rest > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early"));
        }
        bytes.truncate(count);
        Ok(bytes)
    }
}

/// Opens a file beneath the image's directory. Links that stay inside are followed.
fn in_directory(directory: &OwnedFd, name: &str) -> Result<Blob, ImageError> {
    let tried = || ImageError::io(format!("open {name} in the image"));
    // A named pipe must not keep us waiting.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = openat2(directory, name, flags, Mode::empty(), beneath).map_err(tried())?;
    let stat = fstat(&file).map_err(tried())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ImageError::damaged(name, "it is no file"));
    }
    #[allow(clippy::cast_sign_loss)] // A file has no size below 0.
    let size = stat.st_size as u64;
    Ok(Blob { file: Arc::new(File::from(file)), offset: 0, size })
}

fn in_archive(contents: &HashMap<Vec<u8>, Content>, name: &str) -> Result<(u64, u64), ImageError> {
    let wrong = |why: &str| ImageError::Reference { what: name.to_owned(), why: why.to_owned() };
    let mut path = plain(name.as_bytes());
    for _ in 0..8 {
        match contents.get(&path) {
            Some(Content::File(offset, size)) => return Ok((*offset, *size)),
            Some(Content::Link(target)) => path.clone_from(target),
            None => return Err(wrong("the archive has no such file")),
        }
    }
    Err(wrong("the links in the archive go round in circles"))
}

fn contents(file: &File, size: u64) -> Result<HashMap<Vec<u8>, Content>, Fault> {
    let mut entries = Entries::new(FileStream::new(file, size));
    let mut contents = HashMap::new();
    while let Some(entry) = entries.next_entry()? {
        entry.check_names()?;
        let path = plain(&entry.path);
        let content = match entry.kind {
            Kind::File if entry.sparse.is_some() => {
                return Err(Fault::Damaged(format!("{} is sparse", shown(&entry.path))));
            }
            Kind::File => Content::File(entries.stream().position(), entry.data),
            Kind::HardLink => Content::Link(plain(&entry.target)),
            Kind::Symlink => Content::Link(plain(&relative(&path, &entry.target))),
            _ => continue,
        };
        contents.insert(path, content);
        if contents.len() > MOST {
            return Err(Fault::Limit(format!("{MOST} files, too many for an image's archive")));
        }
    }
    Ok(contents)
}

/// The most files that an image's archive may have: some for each of as many layers as one can mount.
const MOST: usize = 10_000;

fn relative(path: &[u8], target: &[u8]) -> Vec<u8> {
    let parent = path.iter().rposition(|&byte| byte == b'/').map_or(&[][..], |at| &path[..at]);
    [parent, target].join(&b'/')
}

/// The one way in which a name is looked up. It is only a key in a table, never a path on the disk.
fn plain(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}
