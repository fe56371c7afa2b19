//! Whole images: an archive, packed in some way, in a layout or in Docker's archive, and any of
//! them changed.

use std::fs;
use std::path::Path;

use fastrand::Rng;
use image::digest::digest_of;
use image::{Image, ImageError, Limits, Reference, Store};
use serde_json::json;

use super::{change, entries, mend, try_seeds};
use crate::archive::{Archive, gzip, zstd};
use crate::layout::{Layer, Place, native};

const LIMITS: Limits = Limits { entries: 100, bytes: 1 << 20, ratio: 200 };

/// An archive, changed one time in two.
fn archive(random: &mut Rng) -> Vec<u8> {
    let mut bytes =
        if random.bool() { entries::archive(random).0 } else { entries::of_everything() };
    if random.bool() {
        change(&mut bytes, random);
        mend(&mut bytes);
    }
    bytes
}

fn pack(archive: &[u8], random: &mut Rng) -> Vec<u8> {
    match random.u8(..3) {
        0 => archive.to_vec(),
        1 => gzip(archive),
        _ => zstd(archive),
    }
}

/// A layer that may be damaged, and may or may not admit it by its digest.
fn layer(random: &mut Rng) -> Layer {
    let archive = archive(random);
    let right = Layer::new(&archive, pack(&archive, random));
    if random.u8(..3) > 0 {
        return right;
    }
    let mut blob = right.blob.clone();
    change(&mut blob, random);
    if random.bool() {
        Layer { diff_id: right.diff_id, ..Layer::new(&archive, blob) }
    } else {
        Layer { blob, ..right }
    }
}

/// Docker's archive around a layer.
fn docker_archive(layer: &Layer, random: &mut Rng) -> Vec<u8> {
    let config = json!({
        "architecture": native(), "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    });
    let config = config.to_string();
    let name = format!("{}.json", digest_of(config.as_bytes()).digest());
    let manifest = json!([{"Config": name, "RepoTags": ["a:b"], "Layers": ["l/layer.tar"]}]);
    let mut bytes = Archive::new()
        .file("manifest.json", &manifest.to_string())
        .file(&name, &config)
        .directory("l")
        .entry(b'0', "l/layer.tar", &layer.blob, |_| {})
        .symlink("again", "l/layer.tar")
        .end();
    if random.u8(..3) == 0 {
        change(&mut bytes, random);
        mend(&mut bytes);
    }
    bytes
}

fn unpack(path: &Path, store: &Path) -> Result<(), ImageError> {
    let image = Image::open(&Reference::parse(path.to_str().unwrap()))?;
    Store::open(store)?.unpack(&image, &LIMITS, &|_| {}).map(drop)
}

#[test]
fn images_that_are_changed_are_unpacked_or_refused() {
    try_seeds("whole", 200, |random| {
        let place = Place::new();
        let layers = [layer(random), layer(random)];
        let (image, must_be_refused) = if random.bool() {
            place.image(&layers);
            // One layer twice is read once.
            let differ = layers[0].diff_id != layers[1].diff_id;
            let is_wrong = |layer: &Layer| layer.digest != digest_of(&layer.blob).as_ref();
            (place.path("image"), differ && layers.iter().any(is_wrong))
        } else {
            fs::write(place.path("image/a.tar"), docker_archive(&layers[0], random)).unwrap();
            (place.path("image/a.tar"), false)
        };
        let before = place.surroundings();
        match unpack(&image, &place.path("store")) {
            Ok(()) => assert!(!must_be_refused, "damage is let pass"),
            Err(ImageError::Io { tried, source }) => panic!("{tried}: {source}"),
            Err(_) => assert_eq!(place.left_in_store().len(), 0),
        }
        assert_eq!(place.surroundings(), before);
    });
}
