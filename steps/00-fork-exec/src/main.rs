//! Step 00: run a command in a child process, wait for it, and end as it ended.
//!
//! Nothing is hidden from the command yet. But this is the frame that every later step fills in:
//! what they add goes into [`container`], between the fork and the exec.

use std::convert::Infallible;
use std::process::ExitCode;

use clap::Parser;
use fork_exec::{CommandLine, exec, fork, wait};

/// Run COMMAND in a child process, and end as it ends
#[derive(Parser)]
#[command(version)]
struct Options {
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

/// What the child does between fork and exec.
fn container(options: &Options) -> anyhow::Result<Infallible> {
    exec(&options.command)
}
