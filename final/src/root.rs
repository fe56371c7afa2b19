//! The container's root between the options, the configuration and the kernel.
//!
//! The runtime specification knows one directory. What it is made of stands in annotations of ours.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use image::{ImageOptions, Reference, Store, StoredImage, forbid_devices};
use nix::fcntl::Flock;
use oci_spec::image::Digest;
use oci_spec::runtime::Spec;
use overlay::{Layers, OverlayOptions, mount_layers};
use pivot_root::bind_root;
use serde_json::{Value, json};
use user_ns::Users;

use crate::container::annotation;
use crate::run::utf8;

/// The layers, as `TOP:…:BOTTOM`. Without it the root is the configuration's directory as it is.
pub const LAYERS: &str = "cooper.layers";
/// The directory that keeps the changes, if one does.
pub const UPPER: &str = "cooper.upper";

/// The store in which the image is, if the layers are those of one, and the image's id.
pub const STORE: &str = "cooper.store";
pub const IMAGE: &str = "cooper.image";

/// What a container's root is made of.
pub struct Root {
    layers: Layers,
    /// The store and the image in it, if they come out of one.
    image: Option<(PathBuf, Digest)>,
}

impl Root {
    /// Finds what `word` means: the name or id of an image in the store; or an image in an archive
    /// or a layout, `PATH[:TAG]`, which is unpacked; or else directories, `TOP:…:BOTTOM`.
    ///
    /// What begins with `/` or `.` is always a path, and no directory can take the place of an
    /// image by its name.
    pub fn find(word: &OsStr, options: &ImageOptions, users: &Users) -> anyhow::Result<Root> {
        let Some(text) = word.to_str() else { return Root::of_directories(word) };
        if !text.starts_with(['/', '.']) {
            let store = options.store.open(users)?;
            if let Some(id) = store.look_up(text)? {
                return Root::of_image(store.find(&id)?, &store);
            }
        }
        let reference = Reference::parse(text);
        if !reference.is_image() {
            return Root::of_directories(word);
        }
        let image = options.unpack(&reference, users)?;
        Root::of_image(image, &options.store.open(users)?)
    }

    fn of_directories(word: &OsStr) -> anyhow::Result<Root> {
        Ok(Root { layers: Layers::parse(word)?, image: None })
    }

    fn of_image(image: StoredImage, store: &Store) -> anyhow::Result<Root> {
        let layers = image.layers()?;
        Ok(Root { layers, image: Some((store.path().to_owned(), image.id)) })
    }

    /// Writes it into a configuration, whose root is the place at which the layers become one
    /// directory.
    pub fn describe(
        &self,
        options: &OverlayOptions,
        configuration: &mut Value,
    ) -> anyhow::Result<()> {
        let annotations = &mut configuration["annotations"];
        annotations[LAYERS] = utf8(&self.layers.text())?.into();
        if let Some(upper) = &options.upper {
            annotations[UPPER] = utf8(upper.as_os_str())?.into();
        }
        if let Some((store, id)) = &self.image {
            annotations[STORE] = utf8(store.as_os_str())?.into();
            annotations[IMAGE] = id.to_string().into();
        }
        configuration["root"] = json!({ "path": utf8(self.layers.top().as_os_str())? });
        Ok(())
    }
}

/// What is taken for as long as the container runs: the directory that keeps the changes, and the
/// image.
pub fn lock(spec: &Spec) -> anyhow::Result<[Option<Flock<File>>; 2]> {
    let upper = OverlayOptions { upper: upper(spec) }.lock()?;
    let image = match (annotation(spec, STORE), annotation(spec, IMAGE)) {
        (Some(store), Some(id)) => {
            let id =
                Digest::from_str(id).with_context(|| format!("read the annotation {IMAGE}"))?;
            Some(Store::open(store.as_ref())?.find(&id)?.lock()?)
        }
        _ => None,
    };
    Ok([upper, image])
}

/// Mounts the root that a configuration describes.
pub fn mount_root(spec: &Spec) -> anyhow::Result<OwnedFd> {
    let root = spec.root().as_ref().context("the configuration has no root")?;
    let Some(layers) = annotation(spec, LAYERS) else { return bind_root(root.path()) };
    let layers =
        Layers::parse(layers.as_ref()).with_context(|| format!("read the annotation {LAYERS}"))?;
    let root = mount_layers(&layers, upper(spec).as_deref())?;
    if annotation(spec, IMAGE).is_some() {
        forbid_devices(&root)?;
    }
    Ok(root)
}

fn upper(spec: &Spec) -> Option<PathBuf> {
    annotation(spec, UPPER).map(PathBuf::from)
}
