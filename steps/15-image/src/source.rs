//! The files of an image: in a directory, or in a tar archive of it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use crate::contents::{Contents, contents, find};
use crate::digest::digest_of;
use crate::error::ImageError;
use crate::limits::Limits;

/// Where the files of an image are.
pub enum Source {
    /// A directory.
    Directory(OwnedFd),
    /// A tar archive, and what is where in it.
    Archive(Arc<File>, Contents),
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
                let (offset, size) = find(contents, name)?;
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
