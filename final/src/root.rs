//! The container's root between the options, the configuration and the kernel.
//!
//! The runtime specification knows one directory. What it is made of stands in annotations of ours.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use anyhow::Context;
use nix::fcntl::Flock;
use oci_spec::runtime::Spec;
use overlay::{Layers, OverlayOptions, mount_layers};
use pivot_root::bind_root;
use serde_json::{Value, json};

use crate::container::annotation;
use crate::run::utf8;

/// The layers, as `TOP:…:BOTTOM`. Without it the root is the configuration's directory as it is.
pub const LAYERS: &str = "cooper.layers";
/// The directory that keeps the changes, if one does.
pub const UPPER: &str = "cooper.upper";

/// Writes the layers into a configuration. Its root is the place at which they become one
/// directory.
pub fn describe(
    layers: &Layers,
    options: &OverlayOptions,
    configuration: &mut Value,
) -> anyhow::Result<()> {
    configuration["root"] = json!({ "path": utf8(layers.top().as_os_str())? });
    configuration["annotations"][LAYERS] = utf8(&layers.text())?.into();
    if let Some(upper) = &options.upper {
        configuration["annotations"][UPPER] = utf8(upper.as_os_str())?.into();
    }
    Ok(())
}

/// Takes the directory that keeps the changes, as long as the container runs.
pub fn lock(spec: &Spec) -> anyhow::Result<Option<Flock<File>>> {
    OverlayOptions { upper: upper(spec) }.lock()
}

/// Mounts the root that a configuration describes.
pub fn mount_root(spec: &Spec) -> anyhow::Result<OwnedFd> {
    let root = spec.root().as_ref().context("the configuration has no root")?;
    let Some(layers) = annotation(spec, LAYERS) else { return bind_root(root.path()) };
    let layers =
        Layers::parse(layers.as_ref()).with_context(|| format!("read the annotation {LAYERS}"))?;
    mount_layers(&layers, upper(spec).as_deref())
}

fn upper(spec: &Spec) -> Option<PathBuf> {
    annotation(spec, UPPER).map(PathBuf::from)
}
