//! The frame of every step: options in, status out, and any error in one line.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, Parser};
use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::exec::CommandError;

/// The step itself failed: Docker's status for this, and the contract's.
const STEP_FAILED: u8 = 125;

/// What to do where the kernel wants a privilege.
const NEEDS_ROOT: &str =
    " (only root may do this: `cargo workshop sandbox` makes you root in a host of its own)";

/// Parses the command line, runs `run` with it, and ends the program with the status that this
/// returns. Whatever goes wrong is one line on standard error, and status 125.
pub fn main<Options: Parser>(run: fn(&Options) -> anyhow::Result<ExitCode>) -> ExitCode {
    match parse().and_then(|options| options.map_or(Ok(ExitCode::SUCCESS), |options| run(&options)))
    {
        Ok(status) => status,
        Err(error) => ExitCode::from(report(&error)),
    }
}

/// The options, or nothing if it was only help that was asked for.
fn parse<Options: Parser>() -> anyhow::Result<Option<Options>> {
    let matches = command_of::<Options>().try_get_matches();
    let parsed = matches.and_then(|matches| Options::from_arg_matches(&matches));
    match parsed {
        Ok(options) => Ok(Some(options)),
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            error.print().context("write to standard output")?;
            Ok(None)
        }
        Err(error) => Err(usage_error(&error)),
    }
}

/// The command line that [`main`] understands: without clap's `-h`, which is Docker's short form of
/// `--hostname` and comes in step 04.
#[must_use]
pub fn command_of<Options: Parser>() -> Command {
    let help =
        Arg::new("help").long("help").action(ArgAction::Help).help("Print help").global(true);
    Options::command().disable_help_flag(true).arg(help)
}

/// clap explains a mistake in several paragraphs. The first says what is wrong.
fn usage_error(error: &clap::Error) -> anyhow::Error {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let sentence = lines.collect::<Vec<_>>().join(" ");
    anyhow!("{} (see --help)", sentence.trim_start_matches("error: "))
}

/// Writes an error in one line, `NAME: what was tried: the kernel's reason`, and returns the status
/// that goes with it.
pub fn report(error: &anyhow::Error) -> u8 {
    let forbidden = error.root_cause().downcast_ref() == Some(&Errno::EPERM);
    let hint = if forbidden && !geteuid().is_root() { NEEDS_ROOT } else { "" };
    let line = one_line(&format!("{}: {error:#}{hint}", name()));
    // If standard error is closed or broken there is nobody left to tell; the status still says it.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
    error.downcast_ref().map_or(STEP_FAILED, CommandError::status)
}

/// The name under which this program was called.
fn name() -> String {
    let path = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file may have a line feed in its name, or what makes a terminal misbehave.
fn one_line(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_message_stays_one_line() {
        assert_eq!(one_line("chroot to a\nb\x1b[2J"), r"chroot to a\nb\u{1b}[2J");
        assert_eq!(one_line("chroot to Müller"), "chroot to Müller");
    }
}
