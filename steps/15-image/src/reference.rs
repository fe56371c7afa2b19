//! `PATH[:TAG]`: which image, and where it is.

use std::path::{Path, PathBuf};

use clap::builder::{StringValueParser, TypedValueParser};

use crate::docker::MANIFEST;
use crate::layout::INDEX;

/// An image as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// A docker-archive or an OCI layout, a directory or a tar archive.
    pub path: PathBuf,
    /// Which of the images in it. Without one there must be only one.
    pub tag: Option<String>,
}

/// Reads `PATH[:TAG]` on a command line.
#[must_use]
pub fn reference() -> impl TypedValueParser<Value = Reference> {
    StringValueParser::new().map(|text| Reference::parse(&text))
}

impl Reference {
    /// Reads `PATH[:TAG]`. A path with a colon in it is a path if there is something.
    #[must_use]
    pub fn parse(text: &str) -> Reference {
        let whole = || Reference { path: PathBuf::from(text), tag: None };
        if Path::new(text).exists() {
            return whole();
        }
        // A tag may have colons itself: `image.tar:debian:12`.
        let splits = text.match_indices(':').map(|(at, _)| text.split_at(at));
        for (path, tag) in splits {
            if Path::new(path).exists() && tag.len() > 1 {
                return Reference { path: PathBuf::from(path), tag: Some(tag[1..].to_owned()) };
            }
        }
        whole()
    }

    /// Whether there is something at its path that could be an image, and not a directory of
    /// another kind.
    #[must_use]
    pub fn is_image(&self) -> bool {
        let has = |name: &str| self.path.join(name).exists();
        self.path.is_file() || has(INDEX) || has(MANIFEST)
    }

    /// Whether an image of this name is meant: `debian:12` is, by `debian:12` and by `12`.
    #[must_use]
    pub fn means(&self, name: &str) -> bool {
        self.tag.as_ref().is_none_or(|tag| {
            name == tag
                || name.rsplit_once([':', '/']).is_some_and(|(_, last)| last == tag)
                || name.strip_suffix(tag.as_str()).is_some_and(|rest| rest.ends_with('/'))
        })
    }
}
