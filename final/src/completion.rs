//! `cooper completion`: completion scripts for shells.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use clap_complete::{Shell, generate};

/// Generate the completion script for a shell
#[derive(clap::Args)]
pub struct CompletionOptions {
    /// The shell that shall complete cooper's command lines
    shell: Shell,
}

/// Writes the script to standard output.
pub fn write<Program: Parser>(options: &CompletionOptions) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(options.shell, &mut fork_exec::command_of::<Program>(), "cooper", &mut script);
    io::stdout().write_all(&script).context("write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
