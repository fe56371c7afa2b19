//! References that lead nowhere, in circles, out of the image, or to another machine.

use std::fs;
use std::os::unix::fs::symlink;

use image::ImageError;
use serde_json::{Value, json};

use crate::archive::Archive;
use crate::layout::{Layer, Place, native};

fn layer(content: &str) -> Layer {
    Layer::plain(&Archive::new().file("f", content).end())
}

/// The descriptor with a platform.
fn on(mut descriptor: Value, architecture: &str) -> Value {
    descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
    descriptor
}

fn error(place: &Place) -> ImageError {
    let error = place.unpack().map(|_| ()).unwrap_err();
    assert_eq!(place.left_in_store().len(), 0, "{error}");
    error
}

fn content(place: &Place) -> String {
    let (layers, _) = place.unpack().unwrap();
    fs::read_to_string(layers[0].path.join("f")).unwrap()
}

#[test]
fn of_several_machines_ours_is_chosen() {
    let place = Place::new();
    let foreign = on(place.manifest(&[layer("foreign")], "s390x"), "s390x");
    let ours = on(place.manifest(&[layer("ours")], native()), native());
    let attestation = on(place.document(&json!({"none": 1})), "unknown");
    place.index(&json!([foreign, attestation, ours]));
    assert_eq!(content(&place), "ours");
    // The same one index further down, as registries have it.
    let place = Place::new();
    let foreign = on(place.manifest(&[layer("foreign")], "s390x"), "s390x");
    let ours = on(place.manifest(&[layer("ours")], native()), native());
    let inner = place.document(&json!({"schemaVersion": 2, "manifests": [foreign, ours]}));
    place.index(&json!([inner]));
    assert_eq!(content(&place), "ours");
}

#[test]
fn another_machine_is_refused() {
    let place = Place::new();
    let foreign = place.manifest(&[layer("foreign")], "s390x");
    place.index(&json!([foreign]));
    assert!(matches!(error(&place), ImageError::OtherPlatform { .. }));
    place.index(&json!([on(foreign.clone(), "s390x")]));
    assert!(matches!(error(&place), ImageError::OtherPlatform { .. }));
    // The descriptor says what the configuration does not.
    place.index(&json!([on(foreign, native())]));
    assert!(matches!(error(&place), ImageError::OtherPlatform { .. }));
}

#[test]
fn indexes_without_end_are_refused() {
    let place = Place::new();
    let mut inner = place.manifest(&[layer("deep")], native());
    for _ in 0..20 {
        inner = place.document(&json!({"schemaVersion": 2, "manifests": [inner]}));
    }
    place.index(&json!([inner]));
    assert!(matches!(error(&place), ImageError::Reference { .. }));
}

#[test]
fn an_index_that_names_itself_is_refused() {
    let place = Place::new();
    // Nothing can have its own digest in it, so its digest is wrong.
    let digest = format!("sha256:{}", "1".repeat(64));
    let descriptor = json!({"mediaType": "a/b", "digest": digest, "size": 300});
    let mut itself = json!({"schemaVersion": 2, "manifests": [descriptor]}).to_string();
    itself.extend(std::iter::repeat_n(' ', 300 - itself.len()));
    fs::write(place.path("image/blobs/sha256").join("1".repeat(64)), itself).unwrap();
    place.index(&json!([descriptor]));
    assert!(matches!(error(&place), ImageError::WrongDigest { .. }));
}

#[test]
fn a_document_that_is_two_things_is_refused() {
    let place = Place::new();
    let both = json!({"schemaVersion": 2, "manifests": [], "layers": []});
    let both = place.document(&both);
    place.index(&json!([both]));
    assert!(matches!(error(&place), ImageError::Damaged { .. }));
}

#[test]
fn what_is_missing_is_said() {
    let place = Place::new();
    let layer = layer("x");
    place.image(std::slice::from_ref(&layer));
    let blob = layer.digest.strip_prefix("sha256:").unwrap();
    fs::remove_file(place.path("image/blobs/sha256").join(blob)).unwrap();
    assert!(error(&place).to_string().contains(blob));
    place.index(&json!([]));
    assert!(matches!(error(&place), ImageError::Reference { .. }));
    fs::write(place.path("image/index.json"), "{\"schemaVersion\": 2, \"manif").unwrap();
    assert!(matches!(error(&place), ImageError::Damaged { .. }));
    fs::remove_file(place.path("image/index.json")).unwrap();
    assert!(matches!(error(&place), ImageError::Reference { .. }));
}

#[test]
fn more_layers_than_diff_ids_are_refused() {
    let place = Place::new();
    let config = json!({
        "architecture": native(), "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
    });
    let config = place.document(&config);
    let blob = place.blob(&layer("x").blob);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [blob]});
    let manifest = place.document(&manifest);
    place.index(&json!([manifest]));
    assert!(matches!(error(&place), ImageError::Damaged { .. }));
}

#[test]
fn digests_are_no_paths() {
    for digest in ["sha256:../../outside/victim", "sha256:ABC", "../victim", "sha512:00"] {
        let place = Place::new();
        place.index(&json!([{"mediaType": "a/b", "digest": digest, "size": 9}]));
        let error = error(&place);
        assert!(matches!(error, ImageError::Damaged { .. }), "{digest}: {error}");
    }
    let place = Place::new();
    let digest = format!("sha512:{}", "0".repeat(128));
    place.index(&json!([{"mediaType": "a/b", "digest": digest, "size": 9}]));
    assert!(matches!(error(&place), ImageError::Reference { .. }));
}

#[test]
fn a_blob_does_not_lead_out_of_the_image() {
    let place = Place::new();
    let layer = layer("x");
    place.image(std::slice::from_ref(&layer));
    let name = layer.digest.strip_prefix("sha256:").unwrap();
    let blob = place.path("image/blobs/sha256").join(name);
    fs::rename(&blob, place.path("outside/blob")).unwrap();
    symlink(place.path("outside/blob"), &blob).unwrap();
    assert!(matches!(error(&place), ImageError::Io { .. }));
    fs::remove_file(&blob).unwrap();
    symlink("../../../outside/blob", &blob).unwrap();
    assert!(matches!(error(&place), ImageError::Io { .. }));
}

#[test]
fn a_pipe_in_the_place_of_a_blob_does_not_keep_us_waiting() {
    let place = Place::new();
    let pipe = place.path("image/index.json");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    error(&place);
}

#[test]
fn a_name_does_not_write_to_the_terminal() {
    let place = Place::new();
    let name = "one\n\x1b[2Jtwo";
    place.index(&json!([on(place.manifest(&[layer("other")], name), name)]));
    assert!(!error(&place).to_string().contains(char::is_control));
    let named = |content| {
        let mut manifest = place.manifest(&[layer(content)], native());
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        manifest
    };
    place.index(&json!([named("one"), named("two")]));
    assert!(!error(&place).to_string().contains(char::is_control));
    place.index(&json!([{"mediaType": "a/b", "digest": format!("sha256:{name}"), "size": 9}]));
    assert!(!error(&place).to_string().contains(char::is_control));
}

#[test]
fn several_images_ask_for_a_tag() {
    let place = Place::new();
    let mut one = place.manifest(&[layer("one")], native());
    one["annotations"] = json!({"org.opencontainers.image.ref.name": "one"});
    let mut two = place.manifest(&[layer("two")], native());
    two["annotations"] = json!({"org.opencontainers.image.ref.name": "two"});
    place.index(&json!([one, two]));
    let error = error(&place).to_string();
    assert!(error.contains("one, two"), "{error}");
}
