//! All layers together.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context;
use mount_ns::{open_root, path_of};

use crate::init_layer::init_layer;
use crate::layers::{Layers, MOST};
use crate::stage::{make_directory, mount_stage};
use crate::whiteout::needs_user_attributes;
use crate::writable::{Writable, open_kept};
use crate::{new_mount, old_mount, refusal};

/// What an overlay is made of, each directory open.
pub struct Stack {
    /// What the mount table shows as its source: any text that is not too long.
    pub source: OsString,
    /// The layers that do not change, the uppermost first.
    pub lower: Vec<OwnedFd>,
    /// The layer that takes the changes.
    pub writable: Writable,
    /// Options beside the layers: words, and their values where they have one.
    pub options: Vec<(&'static str, Option<&'static str>)>,
}

/// What the writable layer remembers must mean the same wherever it is used next, so it holds whole
/// files and directories, and no references to layers below it. What the kernel does without being
/// asked depends on how it was built.
const SELF_CONTAINED: [(&str, Option<&str>); 3] =
    [("index", Some("off")), ("metacopy", Some("off")), ("redirect_dir", Some("nofollow"))];

/// The longest text that the new mount interface takes, in bytes.
const LONGEST: usize = 255;

/// Mounts `layers` as one directory, in which changes go to `upper`, or are thrown away with the
/// container. Returns the open directory, as `bind_root` of step 03 does.
///
/// The mount namespace must be the container's own by now.
pub fn mount_layers(layers: &Layers, upper: Option<&Path>) -> anyhow::Result<OwnedFd> {
    let image = layers.open()?;
    // Opened before the stage may hide it.
    let kept = upper.map(|upper| open_kept(upper, &image)).transpose()?;
    let stage = mount_stage(&image[0])?;
    let writable = Writable::make(kept.as_ref().unwrap_or(&stage), &image[0])
        .context("make a writable layer")?;
    let mut lower = image;
    // An image that takes every place there is gets no files of the container's own.
    if lower.len() < MOST {
        lower.insert(0, init_layer(&stage, &lower)?);
    }
    let mut options = SELF_CONTAINED.to_vec();
    if needs_user_attributes()? {
        options.push(("userxattr", None));
    }
    let source = Some(layers.text()).filter(|text| text.len() <= LONGEST);
    let source = source.unwrap_or_else(|| "overlay".into());
    let stack = Stack { source, lower, writable, options };

    make_directory(&stage, "merged").context("make a mount point")?;
    let merged = path_of(&stage).join("merged");
    stack.mount(&merged).map_err(|errno| refusal::explain(errno, layers, upper))?;
    open_root(&merged)
}

impl Stack {
    fn mount(&self, target: &Path) -> nix::Result<()> {
        if new_mount::mount(self, target)? { Ok(()) } else { old_mount::mount(self, target) }
    }
}
