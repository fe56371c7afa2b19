//! Indexes, manifests and configurations, with anything at all where something is expected.

use std::fs;

use fastrand::Rng;
use image::{Image, ImageError, Limits, Reference, Store};
use serde_json::{Value, json};

use super::{change, try_seeds};
use crate::archive::Archive;
use crate::layout::{Layer, Place, native};

/// What a stranger may write in the place of something else.
fn anything(random: &mut Rng) -> Value {
    let long = "x".repeat(random.usize(..300));
    let digest = format!("sha256:{}", "0".repeat(64));
    let deep = (0..random.usize(..200)).fold(json!([]), |inner, _| json!([inner]));
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!(long),
        json!("../../outside/victim"),
        json!(digest),
        json!("sha256:"),
        json!("\u{1b}[2J\n"),
        json!([]),
        json!({}),
        json!({"digest": digest, "size": 1, "mediaType": "a/b"}),
        deep,
    ];
    random.choice(values).unwrap()
}

/// Puts anything in the place of something, takes something away, or doubles it.
fn change_value(value: &mut Value, random: &mut Rng) {
    let goes_deeper = random.u8(..4) > 0;
    match value {
        Value::Object(fields) if goes_deeper && !fields.is_empty() => {
            let key = fields.keys().nth(random.usize(..fields.len())).unwrap().clone();
            match random.u8(..6) {
                0 => drop(fields.remove(&key)),
                1 => drop(fields.insert("manifests".to_owned(), anything(random))),
                _ => change_value(&mut fields[&key], random),
            }
        }
        Value::Array(items) if goes_deeper && !items.is_empty() => {
            let at = random.usize(..items.len());
            match random.u8(..6) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                _ => change_value(&mut items[at], random),
            }
        }
        other => *other = anything(random),
    }
}

/// A document, one time in three not as it should be.
fn perhaps_changed(mut document: Value, random: &mut Rng) -> Vec<u8> {
    if random.u8(..3) == 0 {
        change_value(&mut document, random);
    }
    let mut bytes = document.to_string().into_bytes();
    if random.u8(..20) == 0 {
        change(&mut bytes, random);
    }
    bytes
}

/// Writes an image as an OCI layout or as Docker's archive, each document with its true digest.
fn image(place: &Place, random: &mut Rng) {
    let archive = Archive::new().file("f", "data").end();
    let layer = Layer::plain(&archive);
    let platform = json!({"os": "linux", "architecture": native()});
    let config = json!({
        "architecture": native(), "os": "linux", "config": {"Env": ["A=b"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    });
    let config = perhaps_changed(config, random);
    if random.u8(..3) == 0 {
        fs::write(place.path("image/config.json"), config).unwrap();
        fs::write(place.path("image/layer.tar"), &layer.blob).unwrap();
        let manifest =
            json!([{"Config": "config.json", "RepoTags": ["a:b"], "Layers": ["layer.tar"]}]);
        let manifest = perhaps_changed(manifest, random);
        fs::write(place.path("image/manifest.json"), manifest).unwrap();
        return;
    }
    let config = place.blob(&config);
    let blob = place.blob(&layer.blob);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [blob]});
    let mut inner = place.blob(&perhaps_changed(manifest, random));
    for _ in 0..random.usize(..4) {
        inner["platform"] = platform.clone();
        let index = json!({"schemaVersion": 2, "manifests": [inner]});
        inner = place.blob(&perhaps_changed(index, random));
    }
    inner["annotations"] = json!({"org.opencontainers.image.ref.name": "b"});
    let index = json!({"schemaVersion": 2, "manifests": [inner]});
    fs::write(place.path("image/index.json"), perhaps_changed(index, random)).unwrap();
}

fn unpack(place: &Place, tag: &str) -> Result<(), ImageError> {
    let path = format!("{}{tag}", place.path("image").display());
    let image = Image::open(&Reference::parse(&path))?;
    Store::open(&place.path("store"))?.unpack(&image, &Limits::default(), &|_| {}).map(drop)
}

#[test]
fn documents_that_are_changed_are_read_or_refused() {
    try_seeds("documents", 300, |random| {
        let place = Place::new();
        image(&place, random);
        let before = place.surroundings();
        let tag = random.choice(["", ":b", ":a:b", ":../x"]).unwrap();
        if let Err(error) = unpack(&place, tag) {
            assert_eq!(place.left_in_store().len(), 0, "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
        assert_eq!(place.surroundings(), before);
    });
}
