//! For which machines an image is, and which of several is ours.

use oci_spec::image::{Arch, Descriptor, ImageConfiguration, Os};

use crate::error::ImageError;

/// What runs here, in the words of images: `linux/amd64`.
fn wanted() -> String {
    format!("linux/{}", Arch::default())
}

/// The descriptors among `all` that may be for this machine, the best first.
///
/// One that does not say for which it is may be ours; its configuration will tell. Of several
/// variants of one architecture the plainest comes first: it runs everywhere.
pub fn suitable<'a>(all: &[&'a Descriptor], what: &str) -> Result<Vec<&'a Descriptor>, ImageError> {
    let is_ours = |descriptor: &&&Descriptor| {
        descriptor.platform().as_ref().is_none_or(|platform| {
            *platform.os() == Os::Linux && *platform.architecture() == Arch::default()
        })
    };
    let mut ours: Vec<&Descriptor> = all.iter().filter(is_ours).copied().collect();
    ours.sort_by_key(|descriptor| {
        let platform = descriptor.platform().as_ref();
        (platform.is_none(), platform.and_then(|platform| platform.variant().clone()))
    });
    if ours.is_empty() {
        let found: Vec<String> = all.iter().map(|descriptor| name(descriptor)).collect();
        return Err(ImageError::OtherPlatform {
            what: what.to_owned(),
            wanted: wanted(),
            found: if found.is_empty() { "none".to_owned() } else { found.join(", ") },
        });
    }
    Ok(ours)
}

/// Fails unless the configuration says that the image is for this machine.
pub fn check(configuration: &ImageConfiguration, what: &str) -> Result<(), ImageError> {
    let (os, architecture) = (configuration.os(), configuration.architecture());
    if *os == Os::Linux && *architecture == Arch::default() {
        return Ok(());
    }
    Err(ImageError::OtherPlatform {
        what: what.to_owned(),
        wanted: wanted(),
        found: format!("{os}/{architecture}"),
    })
}

fn name(descriptor: &Descriptor) -> String {
    let platform = descriptor.platform().as_ref();
    platform.map_or("one for any".to_owned(), |platform| {
        format!("{}/{}", platform.os(), platform.architecture())
    })
}
