//! `workshop bench`: how long it takes to unpack an image, next to whichever other tools are there.
//!
//! All tools take turns in one run, so that whatever else the machine does hits all of them alike;
//! what is printed are medians. Compare on tmpfs: what a disk does later is in nobody's figure.
//! `tar` and `bsdtar` verify nothing, the others every digest.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;
use tempfile::TempDir;

use crate::executables::candidates;
use crate::interrupt;
use crate::programs;

/// What `workshop bench` is told.
#[derive(Args, Debug)]
#[command(after_help = "\
Build with `cargo build --release` first: `cargo workshop bench` takes the programs
that lie beside its own, and those of `cargo build` are slow.")]
pub struct Options {
    /// OCI layouts, directories with gzip layers: `PATH[:TAG]`.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// The `cooper` to measure, instead of the one beside this program.
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
    /// Where to unpack to; may be repeated.
    #[arg(long, value_name = "DIR", default_values = ["/dev/shm", "/var/tmp"])]
    at: Vec<PathBuf>,
    /// How often each tool runs.
    #[arg(long, value_name = "N", default_value_t = 7,
          value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

/// A tool, and what to call one after the other.
struct Tool {
    name: &'static str,
    calls: Vec<Vec<OsString>>,
    times: Vec<Duration>,
}

/// Measures, and prints one table for each image and place.
pub fn run(options: &Options) -> Result<ExitCode> {
    let cooper = match &options.bin {
        Some(path) => fs::canonicalize(path).with_context(|| format!("find {}", path.display()))?,
        None => programs::find(&programs::directory()?, "cooper", "build --release")?,
    };
    for image in &options.images {
        for at in &options.at {
            let table = measure(image, &cooper, at, options.rounds)?;
            io::stdout().write_all(table.as_bytes()).context("write to standard output")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(image: &str, cooper: &Path, at: &Path, rounds: u16) -> Result<String> {
    let place =
        TempDir::new_in(at).with_context(|| format!("make a directory in {}", at.display()))?;
    let target = place.path().join("unpacked");
    let mut tools = tools(image, cooper, &target)?;
    for _ in 0..rounds {
        for tool in &mut tools {
            interrupt::check()?;
            tool.run(&target)?;
        }
    }
    let first = tools[0].median().as_secs_f64();
    let line = |tool: &Tool| {
        let seconds = tool.median().as_secs_f64();
        format!("  {:<8} {seconds:>8.3} s {:>6.2}\n", tool.name, seconds / first)
    };
    let lines: Vec<String> = tools.iter().map(line).collect();
    let table = format!("{image} to {}, medians of {rounds}:\n{}", at.display(), lines.concat());
    Ok(table)
}

/// Those that are there, ours first.
fn tools(image: &str, cooper: &Path, target: &Path) -> Result<Vec<Tool>> {
    let layout = Layout::read(image)?;
    let into = target.as_os_str();
    let extract = |tar: &str| -> Vec<Vec<OsString>> {
        let one = |blob: &PathBuf| {
            vec![tar.into(), "-xzpf".into(), blob.into(), "-C".into(), into.to_owned()]
        };
        layout.layers.iter().map(one).collect()
    };
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let mut load = vec![cooper.as_os_str().to_owned()];
    load.extend(words(&["load", "--input", image, "--store"]));
    load.push(into.to_owned());
    let mut umoci = words(&["umoci", "unpack", "--image", &layout.name]);
    umoci.push(into.to_owned());
    let mut podman = words(&["podman", "--root"]);
    podman.extend([into.to_owned(), "--runroot".into(), target.join("run").into()]);
    podman.extend(words(&["--storage-driver", "overlay", "pull", &format!("oci:{}", layout.name)]));
    let all = [
        ("cooper", vec![load]),
        ("tar", extract("tar")),
        ("bsdtar", extract("bsdtar")),
        ("umoci", vec![umoci]),
        ("podman", vec![podman]),
    ];
    let is_there = |name: &str| name == "cooper" || !candidates(name).is_empty();
    let there = all.into_iter().filter(|(name, _)| is_there(name));
    Ok(there.map(|(name, calls)| Tool { name, calls, times: Vec::new() }).collect())
}

/// What of a layout the other tools have to be told.
struct Layout {
    /// `PATH:TAG`.
    name: String,
    /// The blobs, the lowest first.
    layers: Vec<PathBuf>,
}

impl Layout {
    fn read(image: &str) -> Result<Layout> {
        let (path, tag) = match image.rsplit_once(':') {
            Some((path, tag)) => (Path::new(path), Some(tag)),
            None => (Path::new(image), None),
        };
        let index = json(&path.join("index.json"))?;
        let tag_of = |one: &Value| {
            let name = &one["annotations"]["org.opencontainers.image.ref.name"];
            name.as_str().unwrap_or("latest").to_owned()
        };
        let manifests = index["manifests"].as_array().context("index.json has no manifests")?;
        let mut meant = manifests.iter().filter(|one| tag.is_none_or(|tag| tag_of(one) == tag));
        let (Some(manifest), None) = (meant.next(), meant.next()) else {
            bail!("{image}: say which image is meant, as PATH:TAG");
        };
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().context("a descriptor has no digest")?;
            Ok(path.join("blobs").join(digest.replace(':', "/")))
        };
        let contents = json(&blob(manifest)?)?;
        let layers = contents["layers"].as_array().context("it is no manifest of one image")?;
        let layers = layers.iter().map(blob).collect::<Result<Vec<PathBuf>>>()?;
        let name = format!("{}:{}", path.display(), tag_of(manifest));
        Ok(Layout { name, layers })
    }
}

fn json(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("read {}", path.display()))
}

impl Tool {
    fn run(&mut self, target: &Path) -> Result<()> {
        if target.exists() {
            fs::remove_dir_all(target).context("remove what the tool before has unpacked")?;
        }
        // umoci makes it itself.
        if self.name != "umoci" {
            fs::create_dir(target).context("make the directory to unpack to")?;
        }
        let start = Instant::now();
        for call in &self.calls {
            let mut command = Command::new(&call[0]);
            command.args(&call[1..]).stdin(Stdio::null()).stdout(Stdio::null());
            let output = command.stderr(Stdio::piped()).output().context(self.name)?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{} fails: {}", self.name, said.trim());
        }
        self.times.push(start.elapsed());
        Ok(())
    }

    fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[times.len() / 2]
    }
}
