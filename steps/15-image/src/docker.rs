//! A docker-archive, what `docker save` writes: `manifest.json`, and the files that it names.
//!
//! There are no descriptors. What holds it together are the diff ids in the configuration, and the
//! configuration's own name, which is its digest.

use std::str::FromStr;

use oci_spec::image::Digest;
use serde::Deserialize;

use crate::digest::compare;
use crate::error::ImageError;
use crate::image::{Image, Packed, parse};
use crate::reference::Reference;
use crate::source::Source;

/// Where it begins.
pub const MANIFEST: &str = "manifest.json";

/// One image of the archive. The format is Docker's own, and `oci-spec` does not have it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default, deserialize_with = "none_if_null")]
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Finds the image that `reference` means.
pub fn open(source: &Source, reference: &Reference) -> Result<Image, ImageError> {
    let what = reference.path.display().to_string();
    let entries: Vec<Entry> = parse(MANIFEST, &source.document(MANIFEST)?.0)?;
    let is_meant = |entry: &&Entry| {
        reference.tag.is_none() || entry.repo_tags.iter().any(|name| reference.means(name))
    };
    let meant: Vec<&Entry> = entries.iter().filter(is_meant).collect();
    let [entry] = meant[..] else {
        let names: Vec<&str> =
            entries.iter().flat_map(|entry| &entry.repo_tags).map(String::as_str).collect();
        let why = format!("{} images in it are meant, of {}", meant.len(), names.join(", "));
        return Err(ImageError::Reference { what, why });
    };
    let (document, id) = source.document(&entry.config)?;
    if let Some(promised) = digest_in(&entry.config) {
        compare(&entry.config, &promised, &id)?;
    }
    let packed: Result<Vec<Packed>, ImageError> = entry
        .layers
        .iter()
        .map(|name| {
            // Archives of today name a blob by its digest.
            let digest = digest_in(name).filter(|_| name.starts_with("blobs/"));
            Ok(Packed { blob: source.blob(name)?, size: None, digest })
        })
        .collect();
    Image::assemble(&what, entry.repo_tags.clone(), id, document, packed?)
}

/// The digest that a file is named after, as in `HEX.json` and `blobs/sha256/HEX`.
fn digest_in(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next()?;
    let hex = last.strip_suffix(".json").unwrap_or(last);
    Digest::from_str(&format!("sha256:{hex}")).ok()
}

fn none_if_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
