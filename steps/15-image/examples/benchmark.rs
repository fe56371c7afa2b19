//! How long an image takes, next to other tools: `benchmark LAYOUT TAG DIRECTORY [ROUNDS]`.
//!
//! LAYOUT is a directory with gzip layers, DIRECTORY a place to unpack to; use one on tmpfs, since
//! figures from disks drift. The tools that are there take turns, so that whatever else the machine
//! does hits all of them alike, and what is printed are medians and their ratios. tar and bsdtar
//! verify nothing; umoci and we verify all digests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use image::{Image, Reference};

/// A tool, and the commands that unpack the image with it, one after the other.
struct Tool {
    name: &'static str,
    commands: Vec<Command>,
    times: Vec<Duration>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (layout, tag, directory, rounds) = match &arguments[..] {
        [layout, tag, directory] => (layout, tag, directory, 7),
        [layout, tag, directory, rounds] => (layout, tag, directory, rounds.parse().unwrap_or(7)),
        _ => {
            eprintln!("usage: benchmark LAYOUT TAG DIRECTORY [ROUNDS]");
            return ExitCode::from(125);
        }
    };
    let target = Path::new(directory).join("unpacked");
    let mut tools = tools(layout, tag, &target);
    for _ in 0..rounds {
        for tool in &mut tools {
            tool.run(&target);
        }
    }
    let ours = tools[0].median();
    for tool in &tools {
        let ratio = tool.median().as_secs_f64() / ours.as_secs_f64();
        println!("{:<8} {:>8.3} s  {ratio:.2}", tool.name, tool.median().as_secs_f64());
    }
    ExitCode::SUCCESS
}

fn tools(layout: &str, tag: &str, target: &Path) -> Vec<Tool> {
    let reference = format!("{layout}:{tag}");
    let image = Image::open(&Reference::parse(&reference)).expect("the image opens");
    let digests = image.layers.iter().filter_map(|layer| layer.digest.as_ref());
    let blobs: Vec<PathBuf> = digests
        .map(|digest| Path::new(layout).join("blobs/sha256").join(digest.digest()))
        .collect();
    let unpack = std::env::current_exe().expect("it runs").with_file_name("unpack");
    let command = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let into = target.to_str().expect("a path in UTF-8");
    let extract = |program: &str| -> Vec<Command> {
        let one = |blob: &PathBuf| {
            let mut tar = command(Path::new(program), &["-xzpf"]);
            tar.arg(blob).arg("-C").arg(target);
            tar
        };
        blobs.iter().map(one).collect()
    };
    let umoci = command(Path::new("umoci"), &["unpack", "--image", &reference, into]);
    let all = [
        ("image", vec![command(&unpack, &[&reference, into])]),
        ("tar", extract("tar")),
        ("bsdtar", extract("bsdtar")),
        ("umoci", vec![umoci]),
    ];
    all.into_iter()
        .filter(|(name, _)| *name == "image" || is_there(name))
        .map(|(name, commands)| Tool { name, commands, times: Vec::new() })
        .collect()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

impl Tool {
    fn run(&mut self, target: &Path) {
        if target.exists() {
            fs::remove_dir_all(target).expect("what was unpacked goes away");
        }
        // umoci wants to make it itself.
        if self.name != "umoci" {
            fs::create_dir(target).expect("the directory to unpack to");
        }
        let start = Instant::now();
        for command in &mut self.commands {
            let status = command.status().expect("the tool runs");
            assert!(status.success(), "{} failed", self.name);
        }
        self.times.push(start.elapsed());
    }

    fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[times.len() / 2]
    }
}
