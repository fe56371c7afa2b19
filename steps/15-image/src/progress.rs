//! What happens while an image is unpacked, for whoever wants to show it.

use oci_spec::image::Digest;

/// Something has happened to a layer. Layers are unpacked at the same time: reports of several are
/// mixed.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// It is in the store already.
    Shared {
        /// Its diff id.
        layer: &'a Digest,
    },
    /// It begins.
    Started {
        /// Its diff id.
        layer: &'a Digest,
        /// How much there is to read, in bytes.
        size: u64,
    },
    /// More of it has been read.
    Read {
        /// Its diff id.
        layer: &'a Digest,
        /// How much more, in bytes.
        bytes: u64,
    },
    /// It has been unpacked, and has the right digests.
    Verified {
        /// Its diff id.
        layer: &'a Digest,
    },
}
