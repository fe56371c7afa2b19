//! Images go, and with them the layers that nobody else has.
//!
//! Whoever unpacks an image holds the store's lock together with others, so that what he has found
//! there stays; whoever removes one holds it alone. A container holds the lock of its image's
//! file.

use std::collections::HashSet;
use std::fs::{self, File};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use oci_spec::image::Digest;

use crate::digest::short;
use crate::error::ImageError;
use crate::part::Part;
use crate::store::Store;

/// What has been removed.
#[derive(Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name. The image has others.
    Name(String),
    /// The last name, and the image.
    Image(Option<String>, Digest),
}

impl Store {
    /// Takes the name `word` away, and the image if it was the last one; `word` may also be the
    /// beginning of an image's id, which removes all its names.
    pub fn remove(&self, word: &str) -> anyhow::Result<Removed> {
        let _alone = self.lock_alone()?;
        let id = self.look_up(word)?.with_context(|| format!("no image is called {word}"))?;
        let name = crate::names::plain(word);
        let names = self.names()?;
        let is_name = names.get(&name) == Some(&id);
        if is_name && names.values().filter(|other| **other == id).count() > 1 {
            self.change_names(|names| drop(names.remove(&name)))?;
            return Ok(Removed::Name(name));
        }
        self.remove_image(&id)?;
        Ok(Removed::Image(is_name.then_some(name), id))
    }

    fn remove_image(&self, id: &Digest) -> anyhow::Result<()> {
        let file = self.image_file(id);
        let shown = file.display();
        let open = File::open(&file).with_context(|| format!("open {shown}"))?;
        let _unused = match Flock::lock(open, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => {
                bail!("remove the image {}: a container is using it", short(id))
            }
            Err((_, errno)) => return Err(errno).with_context(|| format!("lock {shown}")),
        };
        self.change_names(|names| names.retain(|_, named| named != id))?;
        // First the image, then its layers: whoever comes between finds layers without an image,
        // and no image without its layers.
        fs::remove_file(&file).with_context(|| format!("remove {shown}"))?;
        Ok(self.remove_unused_layers()?)
    }

    /// Removes the layers that no image has.
    fn remove_unused_layers(&self) -> Result<(), ImageError> {
        let mut used = HashSet::new();
        for id in self.images()? {
            used.extend(self.diff_ids(&id)?.iter().map(|diff_id| diff_id.digest().to_owned()));
        }
        let layers = self.layers_directory();
        let tried = |what: &str| ImageError::io(format!("{what} {}", layers.display()));
        // What is being removed is not whole any more, so it goes where such things are.
        let part = Part::make(&self.parts())?;
        for entry in fs::read_dir(&layers).map_err(tried("read"))? {
            let name = entry.map_err(tried("read"))?.file_name();
            if !used.contains(&*name.to_string_lossy()) {
                let to = part.path().join(&name);
                fs::rename(layers.join(&name), to).map_err(tried("remove a layer from"))?;
            }
        }
        Ok(())
    }
}
