//! Names, and what goes with the last of them.

use std::fs;

use image::names::names_of;
use image::{Image, Limits, Reference, Removed, Store};
use oci_spec::image::Digest;

use crate::archive::Archive;
use crate::layout::{Layer, Place};

fn layer(content: &str) -> Layer {
    Layer::plain(&Archive::new().file("f", content).end())
}

/// Loads an image of these layers, and calls it `name`.
fn load(place: &Place, store: &Store, name: &str, layers: &[Layer]) -> Digest {
    place.image(layers);
    let image = Image::open(&Reference::parse(place.path("image").to_str().unwrap())).unwrap();
    let _shared = store.share().unwrap();
    store.unpack(&image, &Limits::default(), &|_| {}).unwrap();
    store.name(&image.id, &[name.to_owned()]).unwrap();
    image.id
}

fn layers(place: &Place) -> usize {
    fs::read_dir(place.path("store/layers/sha256")).unwrap().count()
}

#[test]
fn a_layer_stays_as_long_as_an_image_has_it() {
    let place = Place::new();
    let store = Store::open(&place.path("store")).unwrap();
    let one = load(&place, &store, "one:latest", &[layer("base"), layer("one")]);
    let two = load(&place, &store, "two:1", &[layer("base"), layer("two")]);
    assert_eq!(layers(&place), 3);
    let removed = store.remove("one").unwrap();
    assert_eq!(removed, Removed::Image(Some("one:latest".to_owned()), one));
    assert_eq!(layers(&place), 2);
    assert_eq!(store.layers_of(&two).unwrap().len(), 2);
    assert!(store.remove("one").is_err());
    // By the beginning of its id, too.
    assert_eq!(store.remove(&two.digest()[..12]).unwrap(), Removed::Image(None, two));
    assert_eq!(place.left_in_store(), [""; 0].map(std::path::PathBuf::from));
    assert!(store.names().unwrap().is_empty());
}

#[test]
fn an_image_with_two_names_loses_one() {
    let place = Place::new();
    let store = Store::open(&place.path("store")).unwrap();
    let id = load(&place, &store, "one:latest", &[layer("x")]);
    assert_eq!(load(&place, &store, "two:latest", &[layer("x")]), id);
    assert_eq!(store.remove("two").unwrap(), Removed::Name("two:latest".to_owned()));
    assert_eq!(store.look_up("one").unwrap(), Some(id.clone()));
    // A name that goes to another image leaves the first one without any.
    let other = load(&place, &store, "one:latest", &[layer("y")]);
    assert_eq!(store.look_up("one").unwrap(), Some(other));
    assert_eq!(store.images().unwrap().len(), 2);
}

#[test]
fn an_image_that_is_used_stays() {
    let place = Place::new();
    let store = Store::open(&place.path("store")).unwrap();
    let id = load(&place, &store, "one:latest", &[layer("x")]);
    let used = store.find(&id).unwrap();
    let lock = used.lock().unwrap();
    let refusal = store.remove("one").unwrap_err().to_string();
    assert!(refusal.contains("a container is using it"), "{refusal}");
    assert_eq!((layers(&place), store.names().unwrap().len()), (1, 1));
    drop(lock);
    store.remove("one").unwrap();
    assert!(used.lock().is_err());
}

#[test]
fn an_image_without_a_name_is_called_after_its_file() {
    let place = Place::new();
    place.image(&[layer("x")]);
    let reference = Reference::parse(place.path("image").to_str().unwrap());
    let image = Image::open(&reference).unwrap();
    assert_eq!(names_of(&image, &reference), ["image:latest"]);
}
