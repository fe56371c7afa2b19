//! Plain, gzip or zstd: told by the first bytes, as Docker does it.
//!
//! The media type of a layer also says so, and docker-archives have none. The bytes never lie: what
//! they inflate to must have the promised digest.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

/// How a layer is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// The most memory that a zstd stream may make us hold, as a power of two: what `zstd` itself takes
/// without being told otherwise, and what its highest levels need.
const WINDOW: u32 = 27;

impl Compression {
    /// Looks at the first bytes.
    #[must_use]
    pub fn of(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            // The second is a frame to be skipped, as some tools put one in front.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// What is packed in `source`. Several streams one after the other are one.
    pub fn decoder<'a>(self, source: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Compression::None => Box::new(source),
            Compression::Gzip => Box::new(MultiGzDecoder::new(source)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(source)?;
                decoder.window_log_max(WINDOW)?;
                Box::new(decoder)
            }
        })
    }
}
