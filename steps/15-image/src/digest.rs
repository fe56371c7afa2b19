//! Digests: names that nobody can give to something else.

use std::fmt::Write;
use std::str::FromStr;

use oci_spec::image::{Digest, DigestAlgorithm};
use sha2::{Digest as _, Sha256};

use crate::error::ImageError;

/// The digest of `bytes`.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> Digest {
    finished(Sha256::new_with_prefix(bytes))
}

/// The digest of everything that `hash` was given.
///
/// # Panics
/// Never: 64 hexadecimal digits are a digest.
#[must_use]
pub fn finished(hash: Sha256) -> Digest {
    let mut text = String::from("sha256:");
    for byte in hash.finalize() {
        write!(text, "{byte:02x}").expect("a string grows");
    }
    Digest::from_str(&text).expect("64 hexadecimal digits are a digest")
}

/// As much of a digest as Docker shows.
#[must_use]
pub fn short(digest: &Digest) -> &str {
    &digest.digest()[..12]
}

/// Fails for any algorithm but SHA-256, which every registry and every tool uses.
pub fn require_sha256(digest: &Digest, what: &str) -> Result<(), ImageError> {
    if *digest.algorithm() == DigestAlgorithm::Sha256 {
        return Ok(());
    }
    let why = format!("its digest {digest} is not sha256, the only algorithm known here");
    Err(ImageError::Reference { what: what.to_owned(), why })
}

/// Fails unless `found` is what `what` was promised to be.
pub fn compare(what: &str, expected: &Digest, found: &Digest) -> Result<(), ImageError> {
    if expected.as_ref() == found.as_ref() {
        return Ok(());
    }
    Err(ImageError::WrongDigest {
        what: what.to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}
