//! Writes images, and a place around them in which every change is seen.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use image::digest::digest_of;
use image::{Image, ImageError, Limits, Notices, Reference, Store, StoredLayer};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory with an image, a store, and something that nobody may touch.
pub struct Place {
    directory: TempDir,
}

/// A layer as an image has it: the blob, and what it promises to be.
#[derive(Clone)]
pub struct Layer {
    pub blob: Vec<u8>,
    pub diff_id: String,
    pub digest: String,
    pub size: usize,
}

impl Layer {
    /// One that keeps its promises.
    pub fn new(archive: &[u8], blob: Vec<u8>) -> Layer {
        Layer {
            diff_id: digest_of(archive).to_string(),
            digest: digest_of(&blob).to_string(),
            size: blob.len(),
            blob,
        }
    }

    pub fn plain(archive: &[u8]) -> Layer {
        Layer::new(archive, archive.to_vec())
    }
}

impl Place {
    pub fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/victim"), "untouched").unwrap();
        fs::create_dir_all(directory.path().join("image/blobs/sha256")).unwrap();
        Place { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where nobody may touch anything, as an absolute name.
    pub fn outside(&self) -> String {
        self.path("outside").to_str().unwrap().to_owned()
    }

    /// Puts a blob into the image; gives its descriptor.
    pub fn blob(&self, bytes: &[u8]) -> Value {
        let digest = digest_of(bytes);
        fs::write(self.path("image/blobs/sha256").join(digest.digest()), bytes).unwrap();
        json!({"mediaType": "application/octet-stream", "digest": digest, "size": bytes.len()})
    }

    pub fn document(&self, document: &Value) -> Value {
        self.blob(document.to_string().as_bytes())
    }

    pub fn index(&self, manifests: &Value) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.path("image/index.json"), index.to_string()).unwrap();
    }

    /// Writes a manifest for `architecture`; gives its descriptor.
    pub fn manifest(&self, layers: &[Layer], architecture: &str) -> Value {
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let config = self.document(&json!({
            "architecture": architecture, "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }));
        let mut descriptors = Vec::new();
        for layer in layers {
            let name = layer.digest.strip_prefix("sha256:").unwrap();
            fs::write(self.path("image/blobs/sha256").join(name), &layer.blob).unwrap();
            descriptors.push(json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer.digest, "size": layer.size,
            }));
        }
        self.document(&json!({"schemaVersion": 2, "config": config, "layers": descriptors}))
    }

    /// Writes an image of these layers.
    pub fn image(&self, layers: &[Layer]) {
        let manifest = self.manifest(layers, native());
        self.index(&json!([manifest]));
    }

    pub fn unpack(&self) -> Result<(Vec<StoredLayer>, Notices), ImageError> {
        self.unpack_within(&Limits::default())
    }

    pub fn unpack_within(
        &self,
        limits: &Limits,
    ) -> Result<(Vec<StoredLayer>, Notices), ImageError> {
        let reference = Reference::parse(self.path("image").to_str().unwrap());
        let image = Image::open(&reference)?;
        Store::open(&self.path("store"))?.unpack(&image, limits, &|_| {})
    }

    /// Everything in this place but the store: names, modes, owners, sizes, contents.
    pub fn surroundings(&self) -> BTreeMap<PathBuf, (u32, u32, u64, Vec<u8>)> {
        let mut all = BTreeMap::new();
        for name in ["outside", "image"] {
            look(&self.path(name), &mut all);
        }
        all
    }

    /// What is in the store of layers, images and parts.
    pub fn left_in_store(&self) -> Vec<PathBuf> {
        let parts = ["store/layers/sha256", "store/images/sha256", "store/parts"];
        let entries = parts.iter().flat_map(|part| fs::read_dir(self.path(part)));
        entries.flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

fn look(path: &Path, all: &mut BTreeMap<PathBuf, (u32, u32, u64, Vec<u8>)>) {
    let about = fs::symlink_metadata(path).unwrap();
    let content = if about.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    all.insert(path.to_owned(), (about.mode(), about.uid(), about.nlink(), content));
    if about.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            look(&entry.unwrap().path(), all);
        }
    }
}

/// This machine, in the words of images.
pub fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
