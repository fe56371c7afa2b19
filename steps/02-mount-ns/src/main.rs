//! Step 02: the command gets a mount table of its own, with a `/proc`, a `/sys` and a `/dev`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;

use chroot::chroot;
use clap::Parser;
use fork_exec::{CommandLine, exec, fork, wait};
use mount_ns::{default_mounts, make_devices, mount_all, open_root, private_mounts};

/// Run COMMAND with the directory ROOTFS as its root, and mounts of its own
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The directory that becomes the command's root
    rootfs: PathBuf,
    #[command(flatten)]
    command: CommandLine,
}

fn main() -> ExitCode {
    fork_exec::main(run)
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let child = fork(|| container(options))?;
    wait(&child)
}

/// What the child does between fork and exec: each line takes one thing of the host's away.
fn container(options: &Options) -> anyhow::Result<Infallible> {
    private_mounts()?;
    let root = open_root(&options.rootfs)?;
    mount_all(&root, &default_mounts())?;
    make_devices(&root)?;
    chroot(&options.rootfs)?;
    exec(&options.command)
}
