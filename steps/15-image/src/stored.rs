//! From `PATH[:TAG]` to layers that can be mounted.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use oci_spec::image::Digest;
use overlay::Layers;
use user_ns::Users;

use crate::digest::short;
use crate::image::Image;
use crate::names::names_of;
use crate::notices::Notices;
use crate::options::ImageOptions;
use crate::reference::Reference;
use crate::remapped::among;
use crate::store::{Store, StoredLayer};
use crate::terminal::Bars;

/// An image in a store, all of it.
pub struct StoredImage {
    /// The digest of its configuration.
    pub id: Digest,
    /// Its file in the store, which is locked while it is used.
    file: PathBuf,
    /// The lowest first.
    layers: Vec<StoredLayer>,
}

impl ImageOptions {
    /// Unpacks what the store does not have of the image at `reference`, for containers with these
    /// users. What was done otherwise than the image says is said on standard error.
    pub fn unpack(&self, reference: &Reference, users: &Users) -> anyhow::Result<StoredImage> {
        let store = self.store.open(users)?;
        let image = Image::open(reference)?;
        among(users, || {
            // From here on nobody removes a layer that we have found.
            let _shared = store.share()?;
            let bars = Bars::new(&image);
            let (_, notices) =
                store.unpack(&image, &self.limits, &|progress| bars.show(progress))?;
            bars.finish();
            store.name(&image.id, &names_of(&image, reference))?;
            if notices != Notices::default() {
                eprintln!("{}: {notices}", reference.path.display());
            }
            Ok(())
        })?;
        store.find(&image.id)
    }
}

impl Store {
    /// An image that is here.
    pub fn find(&self, id: &Digest) -> anyhow::Result<StoredImage> {
        let file = self.image_file(id);
        let layers = self.layers_of(id)?;
        Ok(StoredImage { id: id.clone(), file, layers })
    }
}

impl StoredImage {
    /// Its trees, as step 14 mounts them.
    ///
    /// What an opaque layer hides is left out: overlayfs has no mark for a whole layer. So is a
    /// layer that comes again further up, where it has all that it has here: overlayfs takes no
    /// directory twice.
    pub fn layers(&self) -> anyhow::Result<Layers> {
        let mut paths: Vec<PathBuf> = Vec::new();
        for layer in self.layers.iter().rev() {
            if !paths.contains(&layer.path) {
                paths.push(layer.path.clone());
            }
            if layer.record.is_opaque {
                break;
            }
        }
        Layers::new(paths).with_context(|| format!("stack the layers of {}", short(&self.id)))
    }

    /// Keeps the image from being removed for as long as what is returned lives.
    ///
    /// It is for the parent, when the child has been made, as the lock of step 14 is.
    pub fn lock(&self) -> anyhow::Result<Flock<File>> {
        let shown = self.file.display();
        let file = File::open(&self.file)
            .with_context(|| format!("open {shown} (has the image just been removed?)"))?;
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            // Whoever removes it has the lock, and takes the name away while he has it.
            Ok(lock) if self.file.exists() => Ok(lock),
            _ => bail!("use the image {}: it is just being removed", short(&self.id)),
        }
    }
}
