//! The store: every layer once, by the digest of its archive.
//!
//! ```text
//! STORE/layers/sha256/DIFF-ID/diff          a layer's tree, as overlayfs takes it
//! STORE/layers/sha256/DIFF-ID/layer.json    a `Record`
//! STORE/images/sha256/ID                    an image's configuration, which names its layers
//! STORE/parts/UUID                          what is not whole yet
//! STORE/names.json                          what the images are called
//! STORE/lock, STORE/names.lock              nothing: what is locked
//! ```
//!
//! A layer comes here by one rename, when all layers of its image have been verified, and is never
//! changed afterwards. Two that unpack the same layer at once both finish; the second finds that it
//! is there, and throws its own away. (What has been renamed may still be in the kernel's memory:
//! after a power cut a layer may be incomplete, as with Docker and containerd. They ask for a sync
//! where that matters.)

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use oci_spec::image::{Digest, ImageConfiguration};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use crate::error::ImageError;
use crate::image::{Image, Layer, parse};
use crate::inherit::inherit;
use crate::limits::Limits;
use crate::names::plain;
use crate::notices::Notices;
use crate::part::Part;
use crate::progress::Progress;
use crate::unpack::Record;
use crate::workers::unpack_all;

/// A directory of layers.
pub struct Store {
    root: PathBuf,
}

/// A layer in the store.
#[derive(Clone, Debug)]
pub struct StoredLayer {
    /// Its tree.
    pub path: PathBuf,
    /// What is known about it.
    pub record: Record,
}

impl Store {
    /// Opens the store at `root`, and makes it if there is none. It is nobody's but the caller's:
    /// images have set-uid programs.
    pub fn open(root: &Path) -> Result<Store, ImageError> {
        for directory in ["", "layers/sha256", "images/sha256", "parts"] {
            let path = root.join(directory);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(ImageError::io(format!("make {}", path.display())))?;
        }
        Ok(Store { root: root.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Unpacks what the store does not have of `image`. Returns its layers, the lowest first, and
    /// says what was done otherwise than they say.
    pub fn unpack(
        &self,
        image: &Image,
        limits: &Limits,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(Vec<StoredLayer>, Notices), ImageError> {
        // Also clears away what others have left, if there is nothing to unpack.
        let part = Part::make(&self.parts())?;
        let mut missing: Vec<&Layer> = Vec::new();
        for layer in &image.layers {
            if self.layer_directory(&layer.diff_id).exists() {
                progress(Progress::Shared { layer: &layer.diff_id });
            } else if missing.iter().all(|other| other.diff_id != layer.diff_id) {
                missing.push(layer);
            }
        }
        let records = unpack_all(&missing, &part, limits, progress)?;
        // From below: what is completed here is what the next one looks at.
        for layer in &image.layers {
            if let Some(record) = records.iter().find(|record| record.diff_id == layer.diff_id) {
                self.complete(record, image, &part)?;
            }
        }
        for layer in missing {
            let unpacked = part.path().join(layer.diff_id.digest());
            publish(&unpacked, &self.layer_directory(&layer.diff_id))?;
        }
        self.keep_configuration(image, &part)?;
        self.layers(image)
    }

    /// A layer that is here.
    pub fn layer(&self, diff_id: &Digest) -> Result<StoredLayer, ImageError> {
        let directory = self.layer_directory(diff_id);
        let path = directory.join("layer.json");
        let what = path.display().to_string();
        let record = fs::read(&path).map_err(ImageError::io(format!("read {what}")))?;
        Ok(StoredLayer { path: directory.join("diff"), record: parse(&what, &record)? })
    }

    fn layers(&self, image: &Image) -> Result<(Vec<StoredLayer>, Notices), ImageError> {
        let layers: Result<Vec<StoredLayer>, ImageError> =
            image.layers.iter().map(|layer| self.layer(&layer.diff_id)).collect();
        let layers = layers?;
        let notices =
            layers.iter().map(|layer| layer.record.notices).fold(Notices::default(), Notices::and);
        Ok((layers, notices))
    }

    /// Looks below a layer for what it does not say about its directories.
    fn complete(&self, record: &Record, image: &Image, part: &Part) -> Result<(), ImageError> {
        let tree = |diff_id: &Digest| {
            let unpacked = part.path().join(diff_id.digest());
            let here = if unpacked.exists() { unpacked } else { self.layer_directory(diff_id) };
            here.join("diff")
        };
        let ids = image.layers.iter().map(|layer| &layer.diff_id);
        let below: Vec<PathBuf> =
            ids.take_while(|&diff_id| *diff_id != record.diff_id).map(tree).collect();
        let below: Vec<&Path> = below.iter().rev().map(PathBuf::as_path).collect();
        inherit(&tree(&record.diff_id), &record.implied, &below)
    }

    /// The ids of all images.
    pub fn images(&self) -> Result<Vec<Digest>, ImageError> {
        let directory = self.root.join("images/sha256");
        let tried = || ImageError::io(format!("read {}", directory.display()));
        let mut ids = Vec::new();
        for entry in fs::read_dir(&directory).map_err(tried())? {
            let name = entry.map_err(tried())?.file_name();
            ids.extend(Digest::from_str(&format!("sha256:{}", name.display())).ok());
        }
        Ok(ids)
    }

    /// The image of this name, or the one whose id begins so.
    pub fn look_up(&self, word: &str) -> Result<Option<Digest>, ImageError> {
        if let Some(id) = self.names()?.remove(&plain(word)) {
            return Ok(Some(id));
        }
        let hex = word.strip_prefix("sha256:").unwrap_or(word);
        let mut ids = self.images()?;
        // Two digits could be anything; Docker asks for no more than that they mean one image.
        ids.retain(|id| hex.len() > 1 && id.digest().starts_with(hex));
        match &ids[..] {
            [_, _, ..] => {
                let why = format!("{} images have an id that begins so", ids.len());
                Err(ImageError::Reference { what: word.to_owned(), why })
            }
            _ => Ok(ids.pop()),
        }
    }

    /// The configuration of an image that is here.
    pub fn configuration(&self, id: &Digest) -> Result<ImageConfiguration, ImageError> {
        let path = self.image_file(id);
        let what = path.display().to_string();
        let document = fs::read(&path).map_err(ImageError::io(format!("read {what}")))?;
        parse(&what, &document)
    }

    /// The layers of an image that is here, the lowest first.
    pub fn layers_of(&self, id: &Digest) -> Result<Vec<StoredLayer>, ImageError> {
        self.diff_ids(id)?.iter().map(|diff_id| self.layer(diff_id)).collect()
    }

    /// Which layers an image that is here has.
    pub fn diff_ids(&self, id: &Digest) -> Result<Vec<Digest>, ImageError> {
        let configuration = self.configuration(id)?;
        let ids = configuration.rootfs().diff_ids().iter();
        ids.map(|text| {
            Digest::from_str(text).map_err(|error| ImageError::damaged(id.to_string(), error))
        })
        .collect()
    }

    /// Keeps everything in the store as long as what is returned lives. Many may do so at a time.
    pub fn share(&self) -> Result<File, ImageError> {
        self.lock("lock", FlockOperation::LockShared)
    }

    /// Waits until nobody else works on the store, and keeps others away.
    pub fn lock_alone(&self) -> Result<File, ImageError> {
        self.lock("lock", FlockOperation::LockExclusive)
    }

    pub(crate) fn lock_names(&self) -> Result<File, ImageError> {
        self.lock("names.lock", FlockOperation::LockExclusive)
    }

    fn lock(&self, name: &str, operation: FlockOperation) -> Result<File, ImageError> {
        let path = self.root.join(name);
        let tried = format!("lock {}", path.display());
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(ImageError::io(tried.as_str()))?;
        flock(&file, operation).map_err(ImageError::io(tried))?;
        Ok(file)
    }

    pub(crate) fn image_file(&self, id: &Digest) -> PathBuf {
        self.root.join("images/sha256").join(id.digest())
    }

    pub(crate) fn names_file(&self) -> PathBuf {
        self.root.join("names.json")
    }

    pub(crate) fn parts(&self) -> PathBuf {
        self.root.join("parts")
    }

    pub(crate) fn layers_directory(&self) -> PathBuf {
        self.root.join("layers/sha256")
    }

    fn layer_directory(&self, diff_id: &Digest) -> PathBuf {
        self.layers_directory().join(diff_id.digest())
    }

    fn keep_configuration(&self, image: &Image, part: &Part) -> Result<(), ImageError> {
        let path = part.path().join("configuration");
        fs::write(&path, &image.document)
            .map_err(ImageError::io(format!("write {}", path.display())))?;
        publish(&path, &self.image_file(&image.id))
    }
}

/// Puts something that is whole where it counts, unless somebody was faster.
fn publish(from: &Path, to: &Path) -> Result<(), ImageError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => Ok(()),
        renamed => renamed.map_err(ImageError::io(format!("make {}", to.display()))),
    }
}
