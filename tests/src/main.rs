//! `workshop`: judges container runtimes from the outside, and helps those who write them.
//!
//! It links none of the programs that it judges: it only looks at what the kernel does with them.
//!
//! Read in this order: [`sandbox`] (where a program runs), [`judge`] (how it is looked at),
//! [`checks`] (what is asserted), [`steps`] (what that is worth), [`grade`] and its [`report`] (the
//! command), and [`suite`], which judges them all, on each kind of machine that [`vm`] makes. The
//! other commands are [`view`], [`tour`] with its [`matrix`], [`plot`], [`bench`](mod@bench),
//! [`rootfs`], [`doctor`], and `workshop sandbox` in [`shell`]; how each of them ends early is said
//! in [`interrupt`], and how long all of them wait in [`patience`].

// Both panic when nobody reads any more: `workshop grade … | head -1`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod checks;
mod colour;
mod doctor;
mod executables;
mod grade;
mod interrupt;
mod judge;
mod matrix;
mod mountinfo;
mod patience;
mod plot;
mod programs;
mod progress;
mod report;
mod rootfs;
mod sandbox;
mod shell;
mod steps;
mod subject;
mod suite;
mod tour;
mod view;
mod vm;
mod xml;

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Error, Result};
use clap::{Parser, Subcommand};

use interrupt::Keyboard;

/// The commands of the container workshop.
#[derive(Parser)]
#[command(name = "workshop", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure how long an image takes to unpack, next to tar, bsdtar, umoci and podman.
    Bench(bench::Options),
    /// Say what of the workshop this machine can do, with the remedy where something is missing.
    Doctor,
    /// Judge a step: every check, its points, and what the kernel showed.
    Grade(grade::Options),
    /// Measure what the limits on CPU time, memory and processes do, and draw it.
    Plot(plot::Options),
    /// Make a small root file system out of this host's own programs.
    Rootfs {
        /// A directory that does not exist yet, or is empty.
        dir: PathBuf,
    },
    /// Run a shell or a command in a throw-away host, as root inside.
    Sandbox(shell::Options),
    /// Judge every step's reference program, here and in virtual machines: a table.
    Suite(suite::Options),
    /// Run every step and `cooper`, and show what each hides from a command.
    Tour(tour::Options),
    /// Run a command in a throw-away virtual machine, with the libraries that it loads.
    Vm(vm::Options),
    /// Show what a command sees inside of a step's container, as the kernel tells it.
    View(view::Options),
}

fn main() -> ExitCode {
    let command = Options::parse().command;
    let done = command.run();
    sandbox::wait_for_the_last();
    done.unwrap_or_else(|error| ExitCode::from(explain(&error)))
}

impl Command {
    fn run(&self) -> Result<ExitCode> {
        interrupt::hold(match self {
            Command::Sandbox(_) => Keyboard::Inside,
            _ => Keyboard::Ours,
        })?;
        patience::learn()?;
        match self {
            Command::Bench(options) => bench::run(options),
            Command::Doctor => examine(),
            Command::Grade(options) => grade::run(options),
            Command::Plot(options) => plot::run(options),
            Command::Rootfs { dir } => make_rootfs(dir),
            Command::Sandbox(options) => shell::run(options),
            Command::Suite(options) => suite::run(options),
            Command::Tour(options) => tour::run(options),
            Command::Vm(options) => vm::run(options),
            Command::View(options) => view::run(options),
        }
    }
}

/// Says why it did not work, unless that is known or nobody is there to listen, and returns the
/// exit status.
fn explain(error: &Error) -> u8 {
    if let Some(signal) = interrupt::taken() {
        return killed_by(signal);
    }
    let reason = error.downcast_ref::<io::Error>().map(io::Error::kind);
    if reason == Some(ErrorKind::BrokenPipe) {
        // As SIGPIPE would have it, which Rust's runtime ignores.
        return killed_by(libc::SIGPIPE);
    }
    // Standard error may be closed; there is nobody else to tell.
    let _ = writeln!(io::stderr(), "workshop: {error:#}");
    2
}

/// The exit status by which a shell tells of this signal.
fn killed_by(signal: i32) -> u8 {
    128 + u8::try_from(signal).unwrap_or(0)
}

fn examine() -> Result<ExitCode> {
    let able = doctor::run(&mut io::stdout()).context("write to standard output")?;
    Ok(if able { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn make_rootfs(dir: &Path) -> Result<ExitCode> {
    let made = rootfs::make(dir)?;
    writeln!(io::stdout(), "{}: {made}", dir.display()).context("write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
