//! One layer: out of the image, into a part of the store, and verified.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use oci_spec::image::Digest;
use rustix::fs::{Mode, fchmod};
use serde::{Deserialize, Serialize};

use crate::digest::compare;
use crate::entries::Entries;
use crate::entry::shown;
use crate::error::{Fault, ImageError};
use crate::extract::{Extractor, Found};
use crate::flow::{Flow, Sums, Watch, flow};
use crate::image::Layer;
use crate::limits::Limits;
use crate::notices::Notices;
use crate::tree::Tree;

/// What the store knows about a layer, beside its tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The digest of its archive.
    pub diff_id: Digest,
    /// The size of its archive, in bytes.
    pub bytes: u64,
    /// How many entries its archive has.
    pub entries: u64,
    /// Whether it hides everything that is below it. overlayfs knows no mark for that.
    pub is_opaque: bool,
    /// Directories that lead to entries, and are none themselves.
    #[serde(skip)]
    pub implied: BTreeSet<Vec<u8>>,
    /// What was done otherwise than the layer says.
    pub notices: Notices,
}

/// Unpacks `layer` into the empty directory `root`. On failure what is in there is to be thrown
/// away, and so is, in any case, what is in `aside`.
pub fn unpack(
    layer: &Layer,
    root: OwnedFd,
    aside: OwnedFd,
    limits: &Limits,
    watch: Watch,
) -> Result<Record, ImageError> {
    let what = layer.to_string();
    if let Some(expected) = layer.size.filter(|&size| size != layer.blob.size()) {
        return Err(ImageError::WrongSize { what, expected, found: layer.blob.size() });
    }
    // What a layer says nothing about is as everywhere.
    fchmod(&root, Mode::from_raw_mode(0o755)).map_err(ImageError::io("change the root's mode"))?;
    // Which entry it was is for the message.
    let mut at = None;
    let tree = Tree::new(root, aside);
    let unpacked =
        flow(&layer.blob, limits, watch, |stream| extract(tree, limits, stream, &mut at));
    let (found, sums) = unpacked.map_err(|fault| fault.within(&what, at))?;
    verify(layer, &sums)?;
    Ok(Record {
        diff_id: sums.diff_id,
        bytes: sums.bytes,
        entries: found.entries,
        is_opaque: found.is_opaque,
        implied: found.implied,
        notices: found.notices,
    })
}

fn extract(
    tree: Tree,
    limits: &Limits,
    stream: Flow,
    at: &mut Option<String>,
) -> Result<(Found, Flow), Fault> {
    let mut archive = Entries::new(stream);
    let mut extractor = Extractor::new(tree, limits);
    let mut last = None;
    loop {
        let next = archive.next_entry().inspect_err(|_| *at = Some(after(last.as_deref())))?;
        let Some(entry) = next else { break };
        let put = extractor.put(&entry, &mut archive);
        put.inspect_err(|_| *at = Some(shown(&entry.path)))?;
        last = Some(entry.path);
    }
    Ok((extractor.finish()?, archive.into_stream()))
}

/// Which entry it is whose name cannot be said.
fn after(last: Option<&[u8]>) -> String {
    last.map_or("1".to_owned(), |last| format!("after {}", shown(last)))
}

fn verify(layer: &Layer, sums: &Sums) -> Result<(), ImageError> {
    let what = layer.to_string();
    if let Some(digest) = &layer.digest {
        compare(&format!("the blob of {what}"), digest, &sums.blob)?;
    }
    compare(&what, &layer.diff_id, &sums.diff_id)
}
