//! An OCI layout: `index.json`, and everything else under `blobs/` by its digest.
//!
//! The index names manifests, or further indexes; a manifest names a configuration and layers. Each
//! name is a *descriptor*: media type, digest and size. (The OCI image specification,
//! image-layout.md.)

use std::collections::HashMap;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde_json::Value;

use crate::digest::require_sha256;
use crate::error::ImageError;
use crate::image::{Image, Packed, document, parse};
use crate::platform;
use crate::reference::Reference;
use crate::source::{Blob, Source};

/// Where it begins.
pub const INDEX: &str = "index.json";

/// How many indexes may lie between the first and a manifest.
const NESTING: u32 = 4;

/// The annotations under which tools write down an image's name.
const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/// Finds the image that `reference` means.
pub fn open(source: &Source, reference: &Reference) -> Result<Image, ImageError> {
    let what = reference.path.display().to_string();
    let index: ImageIndex = parse(INDEX, &source.document(INDEX)?.0)?;
    let named: Vec<&Descriptor> =
        index.manifests().iter().filter(|one| is_meant(one, reference)).collect();
    if named.is_empty() {
        let why = match &reference.tag {
            Some(tag) => format!("no image in it is called {tag}; there is {}", names(&index)),
            None => "no image is in it".to_owned(),
        };
        return Err(ImageError::Reference { what, why });
    }
    let ours = platform::suitable(&named, &what)?;
    let first = ours[0];
    // Several names of one image are no question.
    let is_other =
        |one: &&Descriptor| one.digest() != first.digest() && one.platform() == first.platform();
    if ours.iter().any(is_other) {
        let why = format!("several images are in it, say which: {}", names(&index));
        return Err(ImageError::Reference { what, why });
    }
    let manifest = manifest(source, first, &what)?;
    let configuration = content(source, manifest.config())?;
    let layers: Result<Vec<Packed>, ImageError> = manifest
        .layers()
        .iter()
        .map(|layer| {
            Ok(Packed {
                blob: blob(source, layer)?,
                size: Some(layer.size()),
                digest: Some(layer.digest().clone()),
            })
        })
        .collect();
    // The longest first: containerd writes the whole name beside the tag.
    let mut called: Vec<String> = ours
        .iter()
        .filter(|one| one.digest() == first.digest())
        .filter_map(|one| names_of(one).max_by_key(|name| name.len()))
        .map(str::to_owned)
        .collect();
    called.dedup();
    Image::assemble(&what, called, manifest.config().digest().clone(), configuration, layers?)
}

/// Follows a descriptor, through indexes, to the manifest for this machine.
fn manifest(
    source: &Source,
    descriptor: &Descriptor,
    what: &str,
) -> Result<ImageManifest, ImageError> {
    let mut descriptor = descriptor.clone();
    for _ in 0..=NESTING {
        let name = path(&descriptor)?;
        let bytes = content(source, &descriptor)?;
        let fields: HashMap<String, Value> = parse(&name, &bytes)?;
        // One that is both would be read as an index by one tool and as a manifest by the next.
        match (fields.contains_key("manifests"), fields.contains_key("layers")) {
            (true, false) => {}
            (false, true) => return parse(&name, &bytes),
            _ => return Err(ImageError::damaged(name, "neither an index nor a manifest")),
        }
        let index: ImageIndex = parse(&name, &bytes)?;
        let all: Vec<&Descriptor> = index.manifests().iter().collect();
        descriptor = platform::suitable(&all, what)?[0].clone();
    }
    let why = "its indexes lead to indexes without end".to_owned();
    Err(ImageError::Reference { what: what.to_owned(), why })
}

fn is_meant(descriptor: &Descriptor, reference: &Reference) -> bool {
    reference.tag.is_none() || names_of(descriptor).any(|name| reference.means(name))
}

fn names_of(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    let annotations = descriptor.annotations().as_ref();
    NAMES.iter().filter_map(move |key| Some(annotations?.get(*key)?.as_str()))
}

fn names(index: &ImageIndex) -> String {
    let names: Vec<&str> = index.manifests().iter().flat_map(names_of).collect();
    if names.is_empty() { "none with a name".to_owned() } else { names.join(", ") }
}

fn path(descriptor: &Descriptor) -> Result<String, ImageError> {
    let digest = descriptor.digest();
    require_sha256(digest, descriptor.media_type().as_ref())?;
    Ok(format!("blobs/sha256/{}", digest.digest()))
}

/// What a descriptor leads to, if it has the promised size. Its digest is for the reader to verify.
fn blob(source: &Source, descriptor: &Descriptor) -> Result<Blob, ImageError> {
    let what = path(descriptor)?;
    let blob = source.blob(&what)?;
    if blob.size() != descriptor.size() {
        let (expected, found) = (descriptor.size(), blob.size());
        return Err(ImageError::WrongSize { what, expected, found });
    }
    Ok(blob)
}

/// The whole document that a descriptor leads to, verified.
fn content(source: &Source, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
    blob(source, descriptor)?;
    document(source, &path(descriptor)?, descriptor.digest())
}
