//! How much an image may ask for.
//!
//! A layer is a program for our file system, written by a stranger. A few kilobytes of it can
//! inflate to a terabyte of zeros. So everything that it can ask for has an end, which the caller
//! can move.

/// What one layer may have at most.
#[derive(clap::Args, Clone, Debug)]
pub struct Limits {
    /// The most entries that a layer may have
    #[arg(long = "max-entries", value_name = "NUMBER", default_value_t = Limits::default().entries)]
    pub entries: u64,
    /// The most bytes that a layer may have when it is inflated, and so may one of its files
    #[arg(long = "max-bytes", value_name = "BYTES", default_value_t = Limits::default().bytes)]
    pub bytes: u64,
    /// How many times its compressed size a layer may have beyond its first 256 MiB
    #[arg(long = "max-ratio", value_name = "NUMBER", default_value_t = Limits::default().ratio)]
    pub ratio: u64,
}

impl Default for Limits {
    /// Twice the largest images that one meets: a million entries, 64 GiB, a ratio of 200.
    fn default() -> Limits {
        Limits { entries: 1_000_000, bytes: 64 << 30, ratio: 200 }
    }
}

impl Limits {
    /// The longest name of an entry, and the longest target of a link, in bytes. `PATH_MAX` counts
    /// the NUL at the end.
    pub const PATH: usize = 4095;

    /// The most that an extended header (PAX) may have, in bytes. It holds extended attributes,
    /// each up to 64 KiB (xattr(7)).
    pub const HEADER: u64 = 1 << 20;

    /// The most that a manifest, an index or a configuration may have, in bytes: what registries
    /// take.
    pub const DOCUMENT: u64 = 4 << 20;

    /// The most pieces that a sparse file may have.
    pub const PIECES: usize = 1 << 17;

    /// Below this a layer's ratio does not matter, in bytes.
    const HARMLESS: u64 = 256 << 20;

    /// Says which limit is passed by a layer that has inflated to `bytes` out of `packed`.
    #[must_use]
    pub fn exceeded(&self, bytes: u64, packed: u64) -> Option<String> {
        if bytes > self.bytes {
            Some(format!("{} bytes (--max-bytes)", self.bytes))
        } else if bytes > Self::HARMLESS && bytes / self.ratio.max(1) > packed {
            Some(format!("{} times its compressed size (--max-ratio)", self.ratio))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn a_small_layer_may_have_any_ratio() {
        assert_eq!(Limits::default().exceeded(200 << 20, 1000), None);
    }

    #[test]
    fn a_large_layer_may_not() {
        let limits = Limits::default();
        assert_eq!(limits.exceeded(1 << 30, 10 << 20), None);
        assert!(limits.exceeded(1 << 30, 1 << 20).is_some_and(|limit| limit.contains("max-ratio")));
        assert!(
            limits.exceeded(65 << 30, 1 << 40).is_some_and(|limit| limit.contains("max-bytes"))
        );
    }
}
