//! `workshop`: judges container runtimes from the outside, and helps those who write them.
//!
//! It links none of the programs that it judges: it only looks at what the kernel does with them.
//!
//! Read in this order: [`sandbox`] (where a program runs), [`judge`] (how it is looked at),
//! [`checks`] (what is asserted), [`steps`] (what that is worth), [`grade`] (the command).

mod checks;
mod grade;
mod judge;
mod mountinfo;
mod report;
mod sandbox;
mod shell;
mod steps;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The commands of the container workshop.
#[derive(Parser)]
#[command(name = "workshop", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judge a step: every check, its points, and what the kernel showed.
    Grade(grade::Options),
    /// Run a shell or a command in a throw-away host, as root inside.
    Sandbox(shell::Options),
}

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::Grade(options) => grade::run(&options),
        Command::Sandbox(options) => shell::run(&options),
    };
    done.unwrap_or_else(|error| {
        // Standard error may be closed; there is nobody else to tell.
        let _ = writeln!(io::stderr(), "workshop: {error:#}");
        ExitCode::from(2)
    })
}
