//! An image: a configuration, and layers that it names by their diff ids.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use oci_spec::image::{Digest, ImageConfiguration};

use crate::digest::{compare, require_sha256};
use crate::error::ImageError;
use crate::reference::Reference;
use crate::source::{Blob, Source};
use crate::{docker, layout, platform};

/// An image that has been looked at, and not unpacked.
pub struct Image {
    /// What it is called where it was found.
    pub names: Vec<String>,
    /// The digest of its configuration, by which it is known.
    pub id: Digest,
    /// The bytes of its configuration, which have this digest.
    pub document: Vec<u8>,
    /// What they say: what to run, as whom, with which environment.
    pub configuration: ImageConfiguration,
    /// The lowest first.
    pub layers: Vec<Layer>,
}

/// A layer, and where it is.
pub struct Layer {
    /// Which it is, from 1 at the bottom.
    pub number: usize,
    /// The digest of its archive.
    pub diff_id: Digest,
    /// The archive, which may be packed.
    pub blob: Blob,
    /// The size of the blob, if the image says it.
    pub size: Option<u64>,
    /// The digest of the blob, if the image says it. Docker's own format does not.
    pub digest: Option<Digest>,
}

/// A blob of which nobody has said yet which layer it is.
pub struct Packed {
    /// The bytes.
    pub blob: Blob,
    /// Their number, if promised.
    pub size: Option<u64>,
    /// Their digest, if promised.
    pub digest: Option<Digest>,
}

impl Image {
    /// Reads what the image at `reference` consists of. Its documents are verified; its layers will
    /// be when they are unpacked.
    pub fn open(reference: &Reference) -> Result<Image, ImageError> {
        let source = Source::open(&reference.path)?;
        let what = reference.path.display().to_string();
        // An archive that Docker writes today is both; the OCI layout has more digests.
        if source.has(layout::INDEX) {
            layout::open(&source, reference)
        } else if source.has(docker::MANIFEST) {
            docker::open(&source, reference)
        } else {
            let why = format!("neither {} nor {} is in it", layout::INDEX, docker::MANIFEST);
            Err(ImageError::Reference { what, why })
        }
    }

    /// Puts an image together, if its configuration is for this machine and names as many layers as
    /// there are.
    pub fn assemble(
        what: &str,
        names: Vec<String>,
        id: Digest,
        document: Vec<u8>,
        packed: Vec<Packed>,
    ) -> Result<Image, ImageError> {
        let damaged =
            |why: String| ImageError::damaged(format!("the configuration of {what}"), why);
        let configuration = ImageConfiguration::from_reader(document.as_slice())
            .map_err(|error| damaged(error.to_string()))?;
        platform::check(&configuration, what)?;
        let diff_ids = configuration.rootfs().diff_ids();
        if diff_ids.len() != packed.len() {
            let why = format!("it names {} layers, and there are {}", diff_ids.len(), packed.len());
            return Err(damaged(why));
        }
        let mut layers = Vec::new();
        for (number, (diff_id, Packed { blob, size, digest })) in
            (1..).zip(diff_ids.iter().zip(packed))
        {
            let diff_id = Digest::from_str(diff_id).map_err(|error| damaged(error.to_string()))?;
            require_sha256(&diff_id, "a layer")?;
            layers.push(Layer { number, diff_id, blob, size, digest });
        }
        Ok(Image { names, id, document, configuration, layers })
    }
}

impl Display for Layer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "layer {} ({:.12})", self.number, self.diff_id.digest())
    }
}

/// Parses a JSON document of an image.
pub fn parse<T: serde::de::DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| ImageError::damaged(what, error))
}

/// Reads the document `name`, and fails unless it has this digest.
pub fn document(source: &Source, name: &str, expected: &Digest) -> Result<Vec<u8>, ImageError> {
    let (bytes, found) = source.document(name)?;
    compare(name, expected, &found)?;
    Ok(bytes)
}
