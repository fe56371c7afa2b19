//! Images, made by the judge: OCI layouts and docker-archives, each a directory or an archive.

use std::collections::HashSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::mem;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::archive::Archive;
use super::trial::Trial;

/// A layer: its blob, and what is promised about it.
#[derive(Clone)]
pub struct Layer {
    pub blob: Vec<u8>,
    pub digest: String,
    pub diff_id: String,
    pub size: usize,
}

/// How a layer is packed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// How an image lies on the disk.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Layout,
    LayoutArchive,
    Docker,
    DockerArchive,
}

/// An image that can be written.
#[derive(Clone)]
pub struct Image {
    pub layers: Vec<Layer>,
    pub architecture: String,
}

/// The digest of some bytes, as images write it.
pub fn digest(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("a string grows");
    }
    text
}

/// This machine, in the words of images.
pub fn native() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Layer {
    /// One that keeps its promises.
    pub fn new(archive: Archive, packing: Packing) -> Result<Layer> {
        Layer::of_bytes(&archive.bytes(), packing)
    }

    /// The same, of anything at all.
    pub fn of_bytes(archive: &[u8], packing: Packing) -> Result<Layer> {
        let blob = match packing {
            Packing::Plain => archive.to_vec(),
            Packing::Gzip => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
                gzip.write_all(archive).context("gzip")?;
                gzip.finish().context("gzip")?
            }
            Packing::Zstd => zstd::encode_all(archive, 1).context("zstd")?,
        };
        let (digest, diff_id) = (digest(&blob), digest(archive));
        Ok(Layer { digest, diff_id, size: blob.len(), blob })
    }

    fn file(&self) -> String {
        format!("blobs/sha256/{}", hex(&self.digest))
    }
}

fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

impl Image {
    /// Of these layers, the lowest first.
    pub fn new(layers: Vec<Layer>) -> Image {
        Image { layers, architecture: native().to_owned() }
    }

    /// Its configuration.
    pub fn configuration(&self) -> Vec<u8> {
        let diff_ids: Vec<&str> = self.layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
        let os = "linux";
        json!({ "architecture": self.architecture, "os": os, "rootfs": rootfs })
            .to_string()
            .into_bytes()
    }

    /// Writes it to `path`.
    pub fn write(&self, path: &Path, form: Form) -> Result<()> {
        let tags = [("it", self)];
        match form {
            Form::Layout => write_layout(path, &tags).map(drop),
            Form::Docker => write_docker(path, &tags),
            Form::LayoutArchive => pack(path, |directory| write_layout(directory, &tags).map(drop)),
            Form::DockerArchive => pack(path, |directory| write_docker(directory, &tags)),
        }
    }

    /// Writes its blobs into a layout, and returns the descriptor of its manifest.
    pub fn write_blobs(&self, layout: &Path) -> Result<Value> {
        fs::create_dir_all(layout.join("blobs/sha256")).context("mkdir")?;
        let mut layers = Vec::new();
        for layer in &self.layers {
            fs::write(layout.join(layer.file()), &layer.blob).context("write a layer")?;
            layers.push(json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer.digest,
                "size": layer.size,
            }));
        }
        let kind = "application/vnd.oci.image.config.v1+json";
        let config = write_blob(layout, &self.configuration(), kind)?;
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers,
        });
        write_blob(layout, manifest.to_string().as_bytes(), kind)
    }
}

/// Writes a blob into a layout, and returns its descriptor.
pub fn write_blob(layout: &Path, bytes: &[u8], kind: &str) -> Result<Value> {
    let digest = digest(bytes);
    fs::write(layout.join("blobs/sha256").join(hex(&digest)), bytes).context("write a blob")?;
    Ok(json!({ "mediaType": kind, "digest": digest, "size": bytes.len() }))
}

/// Writes images into one layout, each with its tag, and returns what the index says.
pub fn write_layout(path: &Path, images: &[(&str, &Image)]) -> Result<Value> {
    let mut manifests = Vec::new();
    for (tag, image) in images {
        let mut manifest = image.write_blobs(path)?;
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        manifests.push(manifest);
    }
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    write_index(path, &index)?;
    Ok(index)
}

/// Writes where a layout begins.
pub fn write_index(path: &Path, index: &Value) -> Result<()> {
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).context("write")?;
    fs::write(path.join("index.json"), index.to_string()).context("write index.json")
}

/// Writes images as `docker save` does.
fn write_docker(path: &Path, images: &[(&str, &Image)]) -> Result<()> {
    fs::create_dir_all(path).context("mkdir")?;
    let mut manifest = Vec::new();
    for (tag, image) in images {
        let configuration = image.configuration();
        let config = format!("{}.json", hex(&digest(&configuration)));
        fs::write(path.join(&config), configuration).context("write a configuration")?;
        let mut layers = Vec::new();
        for layer in &image.layers {
            let name = format!("{}/layer.tar", hex(&layer.digest));
            fs::create_dir_all(path.join(hex(&layer.digest))).context("mkdir")?;
            fs::write(path.join(&name), &layer.blob).context("write a layer")?;
            layers.push(name);
        }
        let tags = [format!("judge:{tag}")];
        manifest.push(json!({ "Config": config, "RepoTags": tags, "Layers": layers }));
    }
    fs::write(path.join("manifest.json"), json!(manifest).to_string()).context("write")
}

/// Writes an archive of what `write` writes into a directory.
fn pack(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let directory = path.with_extension("directory");
    write(&directory)?;
    fs::write(path, Archive::of_tree(&directory)?.bytes()).context("write an archive")?;
    fs::remove_dir_all(&directory).context("remove a directory")
}

impl Trial<'_> {
    /// The directory in which images and their stores are, beside ROOTFS.
    pub fn images(&self) -> PathBuf {
        self.rootfs.with_file_name("images")
    }

    /// A new name in it.
    pub fn new_image(&self) -> PathBuf {
        self.images().join(self.word())
    }

    /// What is given to a step that takes an image where others take this ROOTFS or these layers:
    /// an image of them. What is neither stays as it is.
    pub fn as_image(&self, root: &Path) -> Result<PathBuf> {
        let pieces = if root.is_dir() { vec![root.to_owned()] } else { split(root.as_os_str()) };
        let different: HashSet<_> = pieces.iter().collect();
        let are_trees = pieces.iter().all(|piece| piece.is_dir() && !is_image(piece));
        if !are_trees || different.len() < pieces.len() {
            return Ok(root.to_owned());
        }
        let layers = pieces.iter().rev().map(|piece| layer_of(piece));
        let image = Image::new(layers.collect::<Result<_>>()?);
        let path = self.new_image();
        image.write(&path, Form::Layout)?;
        let relative = || Some(Path::new("images").join(path.file_name()?));
        Ok(if root.is_relative() { relative().unwrap_or(path) } else { path })
    }

    /// ROOTFS as a layer.
    pub fn root_layer(&self) -> Result<Layer> {
        layer_of(&self.rootfs)
    }
}

fn layer_of(tree: &Path) -> Result<Layer> {
    Layer::new(Archive::of_tree(tree)?, Packing::Plain)
}

fn is_image(path: &Path) -> bool {
    ["index.json", "manifest.json"].iter().any(|name| path.join(name).exists())
}

/// The directories in `TOP:…:BOTTOM`, in which a backslash takes the meaning from what follows it.
fn split(list: &OsStr) -> Vec<PathBuf> {
    let (mut names, mut name) = (Vec::new(), Vec::new());
    let mut bytes = list.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b':' => names.push(mem::take(&mut name)),
            b'\\' => name.extend(bytes.next()),
            byte => name.push(byte),
        }
    }
    names.push(name);
    names.into_iter().map(|name| OsString::from_vec(name).into()).collect()
}
