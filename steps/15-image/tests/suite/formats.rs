//! The same image as docker-archive and as OCI layout, directory and archive, plain, gzip and zstd.

use std::fs;
use std::path::Path;
use std::process::Command;

use image::{Image, ImageError, Limits, Reference, Store};
use serde_json::json;

use crate::archive::{Archive, gzip, zstd};
use crate::layout::{Layer, Place, native};

fn content(place: &Place, reference: &str) -> Result<String, ImageError> {
    let image = Image::open(&Reference::parse(reference))?;
    let store = place.path("store");
    let (layers, _) = Store::open(&store)?.unpack(&image, &Limits::default(), &|_| {})?;
    let top = layers.last().expect("it has a layer");
    Ok(fs::read_to_string(top.path.join("f")).unwrap())
}

fn tar(directory: &Path, archive: &Path) {
    let status =
        Command::new("tar").arg("-cf").arg(archive).arg("-C").arg(directory).arg(".").status();
    assert!(status.unwrap().success());
}

#[test]
fn layers_may_be_packed_in_three_ways() {
    for pack in [gzip, zstd, <[u8]>::to_vec] {
        let place = Place::new();
        let archive = Archive::new().file("f", &"text ".repeat(100_000)).end();
        place.image(&[Layer::new(&archive, pack(&archive))]);
        let reference = place.path("image").to_str().unwrap().to_owned();
        assert_eq!(content(&place, &reference).unwrap().len(), 500_000);
    }
}

#[test]
fn several_gzip_streams_are_one_layer() {
    let place = Place::new();
    let archive = Archive::new().file("f", "two streams").end();
    let (first, second) = archive.split_at(700);
    place.image(&[Layer::new(&archive, [gzip(first), gzip(second)].concat())]);
    assert_eq!(content(&place, place.path("image").to_str().unwrap()).unwrap(), "two streams");
}

#[test]
fn a_layout_may_be_an_archive() {
    let place = Place::new();
    let archive = Archive::new().file("f", "in an archive").end();
    place.image(&[Layer::new(&archive, gzip(&archive))]);
    tar(&place.path("image"), &place.path("image.tar"));
    let reference = place.path("image.tar");
    assert_eq!(content(&place, reference.to_str().unwrap()).unwrap(), "in an archive");
}

/// What `docker save` writes: one layer stands there twice, the second time as a link.
fn docker_archive(place: &Place, tags: &[&str]) -> Vec<u8> {
    let layer = Archive::new().file("f", "saved").end();
    let diff_id = Layer::plain(&layer).diff_id;
    let config = json!({
        "architecture": native(), "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id, diff_id]},
    });
    let config = config.to_string();
    let name = format!("{}.json", place.blob(config.as_bytes())["digest"].as_str().unwrap());
    let name = name.strip_prefix("sha256:").unwrap();
    let manifest = json!([{
        "Config": name, "RepoTags": tags, "Layers": ["a/layer.tar", "b/layer.tar"],
    }]);
    let pax = |archive: Archive, path: &str| archive.pax(&[("path", path.as_bytes())]);
    pax(Archive::new(), name)
        .file("config", &config)
        .entry(b'0', "a/layer.tar", &layer, |_| {})
        .symlink("b/layer.tar", "../a/layer.tar")
        .file("manifest.json", &manifest.to_string())
        .end()
}

#[test]
fn docker_archives_are_read_as_archive_and_as_directory() {
    let place = Place::new();
    let archive = place.path("saved.tar");
    fs::write(&archive, docker_archive(&place, &["example/tool:1.2"])).unwrap();
    let name = archive.to_str().unwrap();
    assert_eq!(content(&place, name).unwrap(), "saved");
    for tag in ["1.2", "tool:1.2", "example/tool:1.2"] {
        assert_eq!(content(&place, &format!("{name}:{tag}")).unwrap(), "saved", "{tag}");
    }
    for tag in ["1.3", "ool:1.2", "2"] {
        let wrong = content(&place, &format!("{name}:{tag}"));
        assert!(matches!(wrong, Err(ImageError::Reference { .. })), "{tag}: {wrong:?}");
    }
    let directory = place.path("saved");
    fs::create_dir(&directory).unwrap();
    let status = Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&directory).status();
    assert!(status.unwrap().success());
    assert_eq!(content(&place, directory.to_str().unwrap()).unwrap(), "saved");
}

#[test]
fn a_changed_configuration_of_a_docker_archive_is_refused() {
    let place = Place::new();
    let mut archive = docker_archive(&place, &[]);
    let at = archive.windows(5).position(|bytes| bytes == b"linux").unwrap();
    archive[at - 1] = b' ';
    archive[at - 2] = b'"';
    fs::write(place.path("saved.tar"), archive).unwrap();
    let wrong = content(&place, place.path("saved.tar").to_str().unwrap());
    assert!(matches!(wrong, Err(ImageError::WrongDigest { .. })), "{wrong:?}");
}

#[test]
fn what_is_no_image_is_said() {
    let place = Place::new();
    let path = place.path("it");
    let error = || {
        format!("{:#}", anyhow::Error::from(content(&place, path.to_str().unwrap()).unwrap_err()))
    };
    assert!(error().contains("No such file"), "{}", error());
    fs::write(&path, gzip(&docker_archive(&place, &[]))).unwrap();
    assert!(error().contains("gunzip"), "{}", error());
    fs::write(&path, docker_archive(&place, &[]).split_off(512)).unwrap();
    assert!(error().contains("checksum"), "{}", error());
    let whole = docker_archive(&place, &[]);
    fs::write(&path, &whole[..whole.len() - 1300]).unwrap();
    assert!(error().contains("ends"), "{}", error());
    fs::write(&path, Archive::new().file("a", "b").end()).unwrap();
    assert!(error().contains("index.json"), "{}", error());
    fs::write(&path, "").unwrap();
    assert!(error().contains("index.json"), "{}", error());
}

#[test]
fn links_in_circles_end() {
    let place = Place::new();
    let archive = Archive::new().symlink("manifest.json", "a").symlink("a", "manifest.json").end();
    fs::write(place.path("saved.tar"), archive).unwrap();
    let wrong = content(&place, place.path("saved.tar").to_str().unwrap());
    assert!(matches!(wrong, Err(ImageError::Reference { .. })), "{wrong:?}");
}
