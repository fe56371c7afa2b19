//! The entries of a tar archive, one after the other.
//!
//! An archive is a row of blocks of 512 bytes: a header, the data filled up to a block, the next
//! header, and two blocks of zeros at the end. What a header has no room for stands in an entry of
//! its own before it: long names in GNU's way, anything at all in that of PAX (tar(5)).
//!
//! The `tar` crate knows the fields of a header. Walking from one to the next is done here, because
//! everything depends on it that a hostile archive could turn against us: how much of a name is
//! held in memory, which of two sizes is believed, what a record with a newline in its value means.

use tar::Header;

use crate::entry::{Entry, Kind, too_long};
use crate::error::Fault;
use crate::header::{checksum, device, id, is_zero, kind, number};
use crate::limits::Limits;
use crate::pax::Pax;
use crate::sparse::Sparse;
use crate::stream::Stream;

const BLOCK: u64 = 512;

/// Reads an archive from a stream.
pub struct Entries<S> {
    stream: S,
    /// Of the present entry's data, what has not been read.
    data: u64,
    /// What fills them up to a block.
    padding: u64,
}

/// What stood before an entry about it.
#[derive(Default)]
struct Ahead {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    pax: Pax,
}

impl<S: Stream> Entries<S> {
    /// Reads from the first header.
    pub fn new(stream: S) -> Entries<S> {
        Entries { stream, data: 0, padding: 0 }
    }

    /// The stream, when there is nothing more to read.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// The stream, which is at the present entry's data.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The next entry, and `None` at the end. What is left of the one before is passed over.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        let mut ahead = Ahead::default();
        while let Some(header) = self.header()? {
            let size = number(&header.as_old().size)?;
            match header.as_old().linkflag[0] {
                b'L' => ahead.path = Some(self.long_name(size, "its name")?),
                b'K' => ahead.target = Some(self.long_name(size, "its target")?),
                b'x' => ahead.pax = Pax::parse(&self.extended(size)?)?,
                // Records for all entries that follow (git writes one with a comment) and the
                // volume's name. Docker passes over them as well.
                b'g' | b'V' => self.begin_data(size),
                _ => return self.entry(&header, size, ahead).map(Some),
            }
        }
        Ok(None)
    }

    /// Gives the next `count` bytes of the present entry's data to `sink`, in pieces.
    pub fn copy(
        &mut self,
        mut count: u64,
        mut sink: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.data = self.data.checked_sub(count).ok_or_else(|| Fault::damaged("data run short"))?;
        while count > 0 {
            let bytes = self.stream.piece(count)?;
            sink(bytes)?;
            let length = bytes.len();
            self.stream.consume(length);
            count -= length as u64;
        }
        Ok(())
    }

    fn begin_data(&mut self, size: u64) {
        self.data = size;
        self.padding = size.wrapping_neg() % BLOCK;
    }

    fn header(&mut self) -> Result<Option<Header>, Fault> {
        self.stream.skip(self.data)?;
        self.stream.skip(self.padding)?;
        self.begin_data(0);
        let Some(header) = self.block()? else { return Ok(None) };
        if is_zero(&header) {
            return match self.block()? {
                Some(second) if !is_zero(&second) => Err(Fault::damaged("entries after its end")),
                _ => Ok(None),
            };
        }
        if number(&header.as_old().cksum)? != u64::from(checksum(&header)) {
            return Err(Fault::damaged("a header has a wrong checksum"));
        }
        Ok(Some(header))
    }

    fn block(&mut self) -> Result<Option<Header>, Fault> {
        let mut header = Header::new_old();
        match self.stream.read(header.as_mut_bytes())? {
            0 => Ok(None),
            512 => Ok(Some(header)),
            _ => Err(Fault::damaged("it ends in the middle of a header")),
        }
    }

    fn extended(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        if size > Limits::HEADER {
            return Err(Fault::Limit(format!("{} bytes in one extended header", Limits::HEADER)));
        }
        self.begin_data(size);
        let mut data = Vec::new();
        self.copy(size, |bytes| {
            data.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(data)
    }

    fn long_name(&mut self, size: u64, what: &str) -> Result<Vec<u8>, Fault> {
        // One more for the NUL that GNU tar writes.
        if size > Limits::PATH as u64 + 1 {
            return Err(too_long(what, size - 1));
        }
        let mut name = self.extended(size)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    fn entry(&mut self, header: &Header, size: u64, ahead: Ahead) -> Result<Entry, Fault> {
        let Ahead { path, target, pax } = ahead;
        let path = pax.get("GNU.sparse.name").or(pax.get("path")).map(<[u8]>::to_vec).or(path);
        let path = path.unwrap_or_else(|| header.path_bytes().into_owned());
        let target = pax.get("linkpath").map(<[u8]>::to_vec).or(target);
        let target =
            target.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        let old = header.as_old();
        let kind = kind(old.linkflag[0], &path)?;
        // Only files have data; what a link's header says about a size is history (and so Go reads
        // it).
        let size = if kind == Kind::File { pax.number("size")?.unwrap_or(size) } else { 0 };
        let sparse = match old.linkflag[0] {
            b'S' => Some(Sparse::from_header(header, &mut self.stream)?),
            _ => None,
        };
        self.begin_data(size);
        let sparse = match sparse {
            None if kind == Kind::File => Sparse::from_pax(&pax, &mut self.stream, &mut self.data)?,
            known => known,
        };
        if let Some(sparse) = &sparse {
            sparse.check(self.data)?;
        }
        let id = |key, field| Ok(pax.number(key)?.unwrap_or(number(field)?)).and_then(id);
        #[allow(clippy::cast_possible_wrap)] // Before 1970 it is two's complement.
        let seconds = number(&old.mtime)? as i64;
        Ok(Entry {
            kind,
            path,
            mode: u32::try_from(number(&old.mode)? & 0o7777).unwrap_or(0),
            uid: id("uid", &old.uid)?,
            gid: id("gid", &old.gid)?,
            mtime: pax.time("mtime")?.unwrap_or((seconds, 0)),
            device: device(header, kind)?,
            target: if matches!(kind, Kind::HardLink | Kind::Symlink) {
                target
            } else {
                Vec::new()
            },
            xattrs: pax.into_xattrs(),
            data: self.data,
            sparse,
        })
    }
}
