//! Bytes that come in pieces, of which nobody ever has all.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::error::Fault;

/// What an archive is read from.
pub trait Stream {
    /// The next bytes, as many as there are at hand, and none at the end.
    fn fill(&mut self) -> Result<&[u8], Fault>;

    /// Passes over the first `count` of the bytes that `fill` gave.
    fn consume(&mut self, count: usize);

    /// Passes over `count` bytes.
    fn skip(&mut self, mut count: u64) -> Result<(), Fault> {
        while count > 0 {
            let piece = self.piece(count)?.len();
            self.consume(piece);
            count -= piece as u64;
        }
        Ok(())
    }

    /// The next bytes, `most` at most and one at least.
    fn piece(&mut self, most: u64) -> Result<&[u8], Fault> {
        let bytes = self.fill()?;
        if bytes.is_empty() {
            return Err(Fault::damaged("it ends too early"));
        }
        Ok(&bytes[..bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX))])
    }

    /// Fills `buffer`, or says how far it got.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut done = 0;
        while done < buffer.len() {
            let bytes = self.fill()?;
            let count = bytes.len().min(buffer.len() - done);
            if count == 0 {
                break;
            }
            buffer[done..done + count].copy_from_slice(&bytes[..count]);
            self.consume(count);
            done += count;
        }
        Ok(done)
    }
}

/// A file, or a part of one: what is passed over is not read.
pub struct FileStream<'a> {
    file: &'a File,
    offset: u64,
    end: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a> FileStream<'a> {
    /// The bytes of `file` from its beginning to `end`.
    #[must_use]
    pub fn new(file: &'a File, end: u64) -> FileStream<'a> {
        FileStream { file, offset: 0, end, buffer: Vec::new(), at: 0 }
    }

    /// Where in the file the next byte is.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset - (self.buffer.len() - self.at) as u64
    }
}

impl Stream for FileStream<'_> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        if self.at == self.buffer.len() && self.offset < self.end {
            // Small: what is looked for are headers, and what is between them is passed over.
            let most = (self.end - self.offset).min(4096);
            self.buffer.resize(usize::try_from(most).unwrap_or(4096), 0);
            let count = self.file.read_at(&mut self.buffer, self.offset);
            let count = count.map_err(Fault::io("read"))?;
            self.buffer.truncate(count);
            (self.at, self.offset) = (0, self.offset + count as u64);
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }

    fn skip(&mut self, count: u64) -> Result<(), Fault> {
        let target = self.position().saturating_add(count);
        if target > self.end {
            return Err(Fault::damaged("it ends too early"));
        }
        if target <= self.offset {
            self.at = self.buffer.len() - usize::try_from(self.offset - target).unwrap_or(0);
        } else {
            (self.offset, self.at) = (target, 0);
            self.buffer.clear();
        }
        Ok(())
    }
}
