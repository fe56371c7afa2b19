//! Sparse files: the archive has only what is between the holes.
//!
//! GNU tar has had four ways of writing down where the pieces belong. The oldest is in the header
//! itself and in blocks after it, two are PAX records, and the newest is text at the start of the
//! data. (`info tar`, "Storing Sparse Files".)

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use crate::error::Fault;
use crate::header::number;
use crate::limits::Limits;
use crate::pax::{Pax, decimal};
use crate::stream::Stream;

/// Where the data of a sparse file belong.
#[derive(Debug, Default)]
pub struct Sparse {
    /// Offset and length of each piece, in bytes.
    pub pieces: Vec<(u64, u64)>,
    /// The file's size with its holes.
    pub size: u64,
}

impl Sparse {
    /// Follows an old header. Its blocks come before the data and are not part of them.
    pub fn from_header(header: &Header, stream: &mut impl Stream) -> Result<Sparse, Fault> {
        let gnu = header.as_gnu().ok_or_else(|| Fault::damaged("a sparse file without a map"))?;
        let mut sparse = Sparse { size: number(&gnu.realsize)?, ..Sparse::default() };
        sparse.add(&gnu.sparse)?;
        let mut is_extended = gnu.is_extended();
        while is_extended {
            let mut block = GnuExtSparseHeader::new();
            if stream.read(block.as_mut_bytes())? < 512 {
                return Err(Fault::damaged("it ends in a sparse file's map"));
            }
            sparse.add(block.sparse())?;
            is_extended = block.is_extended();
        }
        Ok(sparse)
    }

    /// Follows PAX records, if they speak of a sparse file. `data` is how many bytes of data the
    /// entry has; a map that comes out of them is taken off.
    pub fn from_pax(
        pax: &Pax,
        stream: &mut impl Stream,
        data: &mut u64,
    ) -> Result<Option<Sparse>, Fault> {
        if pax.get("GNU.sparse.major") == Some(b"1") {
            let size = pax.number("GNU.sparse.realsize")?;
            let size = size.ok_or_else(|| Fault::damaged("a sparse file without a size"))?;
            return Ok(Some(Sparse { size, pieces: map_in_data(stream, data)? }));
        }
        let Some(size) = pax.number("GNU.sparse.size")? else { return Ok(None) };
        let pieces = match pax.get("GNU.sparse.map") {
            Some(map) => pairs(map)?,
            None => pax.pairs("GNU.sparse.offset", "GNU.sparse.numbytes")?,
        };
        Ok(Some(Sparse { pieces, size }))
    }

    /// Fails unless the pieces are in order, within the file, and exactly the `data` bytes there
    /// are.
    pub fn check(&self, data: u64) -> Result<(), Fault> {
        let mut end = 0;
        let mut sum = 0;
        for &(offset, length) in &self.pieces {
            let fits = offset >= end && length <= self.size.saturating_sub(offset);
            if !fits {
                return Err(Fault::damaged("the map of a sparse file contradicts itself"));
            }
            end = offset + length;
            sum += length;
        }
        if sum != data {
            return Err(Fault::damaged("the map of a sparse file does not fit its data"));
        }
        Ok(())
    }

    fn add(&mut self, headers: &[GnuSparseHeader]) -> Result<(), Fault> {
        for header in headers.iter().filter(|header| !header.is_empty()) {
            self.pieces.push((number(&header.offset)?, number(&header.numbytes)?));
        }
        within_limit(self.pieces.len())
    }
}

/// Reads the map at the start of the data: a count, then offset and length of each piece, one
/// number a line, filled up to a block.
fn map_in_data(stream: &mut impl Stream, data: &mut u64) -> Result<Vec<(u64, u64)>, Fault> {
    let mut lines = Lines { stream, data, block: [0; 512], at: 512 };
    let count = usize::try_from(lines.number()?).unwrap_or(usize::MAX);
    within_limit(count)?;
    (0..count).map(|_| Ok((lines.number()?, lines.number()?))).collect()
}

/// The map as one record: `OFFSET,LENGTH,OFFSET,LENGTH`.
fn pairs(map: &[u8]) -> Result<Vec<(u64, u64)>, Fault> {
    let numbers: Result<Vec<u64>, Fault> =
        map.split(|&byte| byte == b',').map(|number| decimal(number, "GNU.sparse.map")).collect();
    let pair = |pair: &[u64]| match *pair {
        [offset, length] => Ok((offset, length)),
        _ => Err(Fault::damaged("half of a sparse map")),
    };
    numbers?.chunks(2).map(pair).collect()
}

fn within_limit(pieces: usize) -> Result<(), Fault> {
    if pieces > Limits::PIECES {
        return Err(Fault::Limit(format!("{} pieces in one sparse file", Limits::PIECES)));
    }
    Ok(())
}

struct Lines<'a, S> {
    stream: &'a mut S,
    data: &'a mut u64,
    block: [u8; 512],
    at: usize,
}

impl<S: Stream> Lines<'_, S> {
    fn number(&mut self) -> Result<u64, Fault> {
        let mut digits = Vec::new();
        loop {
            if self.at == self.block.len() {
                *self.data = self.data.checked_sub(512).ok_or_else(too_short)?;
                if self.stream.read(&mut self.block)? < 512 {
                    return Err(too_short());
                }
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            if byte == b'\n' {
                return decimal(&digits, "an entry in the map of a sparse file");
            }
            digits.push(byte);
            if digits.len() > 20 {
                return Err(Fault::damaged("the map of a sparse file does not parse"));
            }
        }
    }
}

fn too_short() -> Fault {
    Fault::damaged("it ends in a sparse file's map")
}
