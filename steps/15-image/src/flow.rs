//! A layer on its way from the image to the disk: read, inflated, hashed and unpacked at once.
//!
//! ```text
//!   blob ──▶ inflate ──▶ chunks ──▶ the archive's entries   (the caller's thread)
//!     │                    │
//!     └───────▶ hash ◀─────┘       both digests
//! ```
//!
//! Three threads, and between them channels with few places: whoever is fast waits, and memory does not
//! grow with the layer. Chunks are shared, never copied.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use oci_spec::image::Digest;
use sha2::{Digest as _, Sha256};

use crate::compression::Compression;
use crate::digest::finished;
use crate::error::Fault;
use crate::limits::Limits;
use crate::source::Blob;
use crate::stream::Stream;

/// What is passed on at once, in bytes.
const CHUNK: usize = 128 << 10;

/// How many chunks may wait between two threads.
const PLACES: usize = 8;

type Chunk = Arc<Vec<u8>>;

/// What a layer turned out to be.
#[derive(Debug)]
pub struct Sums {
    /// The digest of the blob, as it lies in the image.
    pub blob: Digest,
    /// The digest of the archive in it.
    pub diff_id: Digest,
    /// The size of the archive in it, in bytes.
    pub bytes: u64,
}

/// Who looks on.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Is told how many more bytes of the blob have been read.
    pub progress: &'a (dyn Fn(u64) + Sync),
    /// Ends everything when it becomes true.
    pub given_up: &'a AtomicBool,
}

/// Lets `unpack` read what is packed in `blob`, and says what has passed.
pub fn flow<T>(
    blob: &Blob,
    limits: &Limits,
    watch: Watch,
    unpack: impl FnOnce(Flow) -> Result<(T, Flow), Fault>,
) -> Result<(T, Sums), Fault> {
    let (to_hash, pieces) = sync_channel(PLACES);
    let (to_unpack, chunks) = sync_channel(PLACES);
    thread::scope(|scope| {
        let hashing = scope.spawn(move || hash(&pieces));
        scope.spawn(move || {
            let source = Packed { blob, watch, to_hash, offset: 0, chunk: Chunk::default(), at: 0 };
            if let Err(fault) = inflate(source, limits, &to_unpack) {
                // If nobody listens he has found something wrong himself.
                let _ = to_unpack.send(Err(fault));
            }
        });
        let unpacked = unpack(Flow { chunks, chunk: Chunk::default(), at: 0 });
        // What follows the archive's end belongs to the digests too.
        let value = unpacked.and_then(|(value, mut rest)| rest.drain().map(|()| value))?;
        let sums = hashing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((value, sums))
    })
}

/// The inflated end.
pub struct Flow {
    chunks: Receiver<Result<Chunk, Fault>>,
    chunk: Chunk,
    at: usize,
}

impl Flow {
    fn drain(&mut self) -> Result<(), Fault> {
        loop {
            let count = self.fill()?.len();
            if count == 0 {
                return Ok(());
            }
            self.consume(count);
        }
    }
}

impl Stream for Flow {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        while self.at == self.chunk.len() {
            let Ok(chunk) = self.chunks.recv() else { return Ok(&[]) };
            (self.chunk, self.at) = (chunk?, 0);
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

enum Piece {
    Packed(Chunk),
    Inflated(Chunk),
}

fn hash(pieces: &Receiver<Piece>) -> Sums {
    let mut packed = Sha256::new();
    // A layer that is not packed is hashed once.
    let mut inflated = None;
    let mut bytes = 0;
    let mut packed_bytes = 0;
    for piece in pieces {
        match piece {
            Piece::Packed(chunk) => {
                packed.update(&*chunk);
                packed_bytes += chunk.len() as u64;
            }
            Piece::Inflated(chunk) => {
                inflated.get_or_insert_with(Sha256::new).update(&*chunk);
                bytes += chunk.len() as u64;
            }
        }
    }
    let blob = finished(packed);
    match inflated {
        Some(inflated) => Sums { blob, diff_id: finished(inflated), bytes },
        None => Sums { diff_id: blob.clone(), blob, bytes: packed_bytes },
    }
}

fn inflate(
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
struct Packed<'a> {
    blob: &'a Blob,
    watch: Watch<'a>,
    to_hash: SyncSender<Piece>,
    offset: u64,
    chunk: Chunk,
    at: usize,
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
