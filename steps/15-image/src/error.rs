//! What can be wrong with an image, so that a caller can tell damage from a refusal.

use std::io;

/// Why an image was not unpacked. Nothing of it is in the store then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A call of the kernel failed: on the store, or on the image's own file.
    #[error("{}", line(.tried))]
    Io {
        /// What was tried, and on what.
        tried: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Bytes that are not what they claim to be: truncated, overwritten, not of a known format.
    #[error("{} is damaged: {}", line(.what), line(.why))]
    Damaged {
        /// The document, layer or archive.
        what: String,
        /// What does not fit.
        why: String,
    },
    /// Content that does not have the digest by which it was referred to.
    #[error("{} has the digest {}, and {} was promised", line(.what), line(.found), line(.expected))]
    WrongDigest {
        /// The document or layer.
        what: String,
        /// By which it was referred to.
        expected: String,
        /// Of the bytes that are there.
        found: String,
    },
    /// Content that does not have the size with which it was referred to.
    #[error("{} has {} bytes, and {} were promised", line(.what), .found, .expected)]
    WrongSize {
        /// The document or layer.
        what: String,
        /// In bytes.
        expected: u64,
        /// In bytes.
        found: u64,
    },
    /// A reference that leads nowhere, in circles, or to several images.
    #[error("{}: {}", line(.what), line(.why))]
    Reference {
        /// Who refers.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// An image for other machines only.
    #[error("no image for {} in {}: there is {}", line(.wanted), line(.what), line(.found))]
    OtherPlatform {
        /// The image.
        what: String,
        /// This machine, as `os/architecture`.
        wanted: String,
        /// What there is instead.
        found: String,
    },
    /// More than the caller allows, see [`Limits`](crate::Limits).
    #[error("{} has more than {}", line(.what), line(.limit))]
    Limit {
        /// The layer or archive.
        what: String,
        /// The limit, its unit, and the option that moves it.
        limit: String,
    },
    /// An entry that cannot be put beneath the layer's root as it asks.
    #[error("entry {} of {}: {}", line(.entry), line(.what), line(.why))]
    Refused {
        /// The layer.
        what: String,
        /// Its name, quoted and shortened, or the name of the one before it.
        entry: String,
        /// What it asked for.
        why: String,
    },
    /// Another layer of the same image failed first.
    #[error("{} was given up, because another one failed", line(.what))]
    GivenUp {
        /// The layer.
        what: String,
    },
}

/// What strangers have written must not move the cursor, nor begin a line of its own.
fn line(text: &str) -> String {
    let escaped = |letter: char| -> String {
        if letter.is_control() { letter.escape_default().collect() } else { letter.to_string() }
    };
    text.chars().map(escaped).collect()
}

impl ImageError {
    /// For `map_err`: a call that failed, with what it tried.
    pub fn io<E: Into<io::Error>>(tried: impl Into<String>) -> impl FnOnce(E) -> ImageError {
        let tried = tried.into();
        move |source| ImageError::Io { tried, source: source.into() }
    }

    /// Something that does not fit together in `what`.
    #[allow(clippy::needless_pass_by_value)] // An error, or a sentence.
    pub fn damaged(what: impl Into<String>, why: impl ToString) -> ImageError {
        ImageError::Damaged { what: what.into(), why: why.to_string() }
    }
}

/// What went wrong inside a layer, where nobody knows the layer's name.
#[derive(Debug)]
pub enum Fault {
    /// The entry asks for what it does not get.
    Refused(String),
    /// The stream is not what it claims to be.
    Damaged(String),
    /// More than this.
    Limit(String),
    /// A call failed on the store.
    Io(String, io::Error),
    /// Somebody else failed first.
    GivenUp,
}

impl Fault {
    /// For `map_err`: a call that failed, with what it tried.
    pub fn io<E: Into<io::Error>>(tried: &str) -> impl FnOnce(E) -> Fault {
        move |source| Fault::Io(tried.to_owned(), source.into())
    }

    /// For `map_err`: what a decoder or a parser did not like.
    #[allow(clippy::needless_pass_by_value)] // `map_err` gives it away.
    pub fn damaged(why: impl ToString) -> Fault {
        Fault::Damaged(why.to_string())
    }

    /// With the name of the layer, and which entry it was if it has to do with one.
    #[must_use]
    pub fn within(self, what: &str, entry: Option<String>) -> ImageError {
        let what = what.to_owned();
        match (self, entry) {
            (Fault::Refused(why), Some(entry)) => ImageError::Refused { what, entry, why },
            (Fault::Damaged(why), Some(entry)) => {
                ImageError::Damaged { what, why: format!("{why}, at entry {entry}") }
            }
            (Fault::Refused(why) | Fault::Damaged(why), None) => ImageError::Damaged { what, why },
            (Fault::Limit(limit), _) => ImageError::Limit { what, limit },
            (Fault::Io(tried, source), Some(entry)) => {
                ImageError::Io { tried: format!("{tried} entry {entry} of {what}"), source }
            }
            (Fault::Io(tried, source), None) => {
                ImageError::Io { tried: format!("{tried} for {what}"), source }
            }
            (Fault::GivenUp, _) => ImageError::GivenUp { what },
        }
    }
}
