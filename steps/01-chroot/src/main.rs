//! Step 01: the command gets another root directory.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;

use chroot::chroot;
use clap::Parser;
use fork_exec::{CommandLine, exec, fork, wait};

/// Run COMMAND with the directory ROOTFS as its root
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
    chroot(&options.rootfs)?;
    exec(&options.command)
}
