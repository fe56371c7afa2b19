//! A layer on its way from the image to the disk: read, inflated, hashed and unpacked at once.
//!
//! ```text
//!   blob ──▶ inflate ──▶ chunks ──▶ the archive's entries   (the caller's thread)
//!     │                    │
//!     └───────▶ hash ◀─────┘       both digests
//! ```
//!
//! Three threads, and between them channels with few places: whoever is fast waits, and memory does
//! not grow with the layer. Chunks are shared, never copied.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use oci_spec::image::Digest;
use sha2::{Digest as _, Sha256};

use crate::digest::finished;
use crate::error::Fault;
use crate::inflate::{Packed, inflate};
use crate::limits::Limits;
use crate::source::Blob;
use crate::stream::Stream;

/// How many chunks may wait between two threads.
const PLACES: usize = 8;

/// Some of the bytes on the way.
pub type Chunk = Arc<Vec<u8>>;

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
            let source = Packed::new(blob, watch, to_hash);
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

/// What is to be hashed.
pub enum Piece {
    /// Of the blob.
    Packed(Chunk),
    /// Of the archive in it.
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
