//! Reading a blob, and what is packed in it.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use crate::compression::Compression;
use crate::error::Fault;
use crate::flow::{Chunk, Piece, Watch};
use crate::limits::Limits;
use crate::source::Blob;

/// What is passed on at once, in bytes.
const CHUNK: usize = 128 << 10;

/// Gives what is packed in `source` to both.
pub fn inflate(
    mut source: Packed,
    limits: &Limits,
    to_unpack: &SyncSender<Result<Chunk, Fault>>,
) -> Result<(), Fault> {
    let compression = Compression::of(source.fill_buf().map_err(as_fault)?);
    let packed = source.blob.size();
    let to_hash = source.to_hash.clone();
    let mut decoder = match compression {
        Compression::None => return pass_on(source, limits, to_unpack),
        packed => packed.decoder(&mut source).map_err(as_fault)?,
    };
    let _ = to_hash.send(Piece::Inflated(Chunk::default()));
    let mut bytes = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let count =
            decoder.by_ref().take(CHUNK as u64).read_to_end(&mut chunk).map_err(as_fault)?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        if let Some(limit) = limits.exceeded(bytes, packed) {
            return Err(Fault::Limit(limit));
        }
        let chunk = Arc::new(chunk);
        // A thread that has ended will say itself why.
        let _ = to_hash.send(Piece::Inflated(Arc::clone(&chunk)));
        if to_unpack.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
    drop(decoder);
    if !source.fill_buf().map_err(as_fault)?.is_empty() {
        return Err(Fault::damaged("something follows its compressed data"));
    }
    Ok(())
}

fn pass_on(
    mut source: Packed,
    limits: &Limits,
    to_unpack: &SyncSender<Result<Chunk, Fault>>,
) -> Result<(), Fault> {
    if let Some(limit) = limits.exceeded(source.blob.size(), source.blob.size()) {
        return Err(Fault::Limit(limit));
    }
    while !source.fill_buf().map_err(as_fault)?.is_empty() {
        source.at = source.chunk.len();
        if to_unpack.send(Ok(Arc::clone(&source.chunk))).is_err() {
            break;
        }
    }
    Ok(())
}

/// A blob whose bytes are hashed as they are read.
pub struct Packed<'a> {
    blob: &'a Blob,
    watch: Watch<'a>,
    to_hash: SyncSender<Piece>,
    offset: u64,
    chunk: Chunk,
    at: usize,
}

impl<'a> Packed<'a> {
    /// From the first byte.
    #[must_use]
    pub fn new(blob: &'a Blob, watch: Watch<'a>, to_hash: SyncSender<Piece>) -> Packed<'a> {
        Packed { blob, watch, to_hash, offset: 0, chunk: Chunk::default(), at: 0 }
    }
}

impl BufRead for Packed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.len() {
            if self.watch.given_up.load(Ordering::Relaxed) {
                return Err(io::Error::other(GivenUp));
            }
            self.chunk = Arc::new(self.blob.read_at(self.offset, CHUNK)?);
            (self.at, self.offset) = (0, self.offset + self.chunk.len() as u64);
            let _ = self.to_hash.send(Piece::Packed(Arc::clone(&self.chunk)));
            (self.watch.progress)(self.chunk.len() as u64);
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let count = bytes.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Passes through a decoder, which only knows `io::Error`.
#[derive(Debug, thiserror::Error)]
#[error("given up")]
struct GivenUp;

fn as_fault(error: io::Error) -> Fault {
    if error.get_ref().is_some_and(
        <dyn std::error::Error + std::marker::Send + std::marker::Sync + 'static>::is::<GivenUp>,
    ) {
        return Fault::GivenUp;
    }
    match error.raw_os_error() {
        Some(_) => Fault::Io("read".to_owned(), error),
        None => Fault::damaged(format!("its compressed data: {error}")),
    }
}
