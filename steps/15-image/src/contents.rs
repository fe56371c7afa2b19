//! What is where in an image's archive.
//!
//! The archive is not unpacked. One walk over its headers says where each file begins, and then any
//! of them can be read, several at once.

use std::collections::HashMap;
use std::fs::File;

use crate::compression::Compression;
use crate::entries::Entries;
use crate::entry::{Kind, shown};
use crate::error::{Fault, ImageError};
use crate::stream::{FileStream, Stream};

/// What an archive has, by name.
pub type Contents = HashMap<Vec<u8>, Content>;

/// What an archive has under a name.
pub enum Content {
    /// Bytes, from an offset.
    File(u64, u64),
    /// The same as under another name: old archives of Docker have links between layers.
    Link(Vec<u8>),
}

/// Offset and size of the file of this name, through links.
pub fn find(contents: &Contents, name: &str) -> Result<(u64, u64), ImageError> {
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

/// Walks over an archive of `size` bytes.
pub fn contents(file: &File, size: u64) -> Result<Contents, Fault> {
    let mut stream = FileStream::new(file, size);
    if Compression::of(stream.fill()?) != Compression::None {
        // Its files could not be read where they are.
        return Err(Fault::damaged("it is compressed as a whole: use gunzip or unzstd first"));
    }
    let mut entries = Entries::new(stream);
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

/// The most files that an image's archive may have: some for each of as many layers as one can
/// mount.
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
