//! `workshop sandbox`: a shell or a command in a throw-away host.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs, io};

use anyhow::{Context, Result};
use clap::Args;
use nix::sys::signal::{SigHandler, Signal, signal};

use crate::sandbox::{Host, Sandbox};

/// What `workshop sandbox` is told.
#[derive(Args)]
pub struct Options {
    /// Show this file or directory too, where the sandbox has a fresh /tmp, /var/tmp or /run.
    #[arg(long, value_name = "PATH")]
    share: Vec<std::path::PathBuf>,
    /// End everything inside after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u64>,
    /// The command and its arguments; a shell if there are none.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command inside and returns its status, as a shell reports it.
pub fn run(options: &Options) -> Result<ExitCode> {
    let here = env::current_dir().context("find the working directory")?;
    let shares: Result<Vec<_>> = options.share.iter().map(|path| absolute(path)).collect();
    let mut shares = shares?;
    shares.push(here);
    shares.sort();
    // A day is as good as no limit.
    let time_limit = Duration::from_secs(options.time_limit.unwrap_or(86_400));
    // Ctrl-C is meant for what runs inside, which gets it from the terminal as well.
    for each in [Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: SIG_IGN is no handler, so there is nothing that could be unsound.
        unsafe { signal(each, SigHandler::SigIgn) }.context("ignore signals of the terminal")?;
    }
    let sandbox = Sandbox { shares, time_limit, terminal: true };
    let status = sandbox.start(|host| Ok(execute(host, &options.command)))?.finish()?;
    Ok(ExitCode::from(status))
}

fn execute(host: &Host, words: &[OsString]) -> u8 {
    let mut command = match words {
        [] => host.command(env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())),
        [program, arguments @ ..] => {
            let mut command = host.command(program);
            command.args(arguments);
            command
        }
    };
    let name = command.get_program().to_string_lossy().into_owned();
    command.env("COOPERAGE_SANDBOX", "1");
    give_back_signals(&mut command);
    match command.status() {
        Ok(status) => {
            let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(125);
            u8::try_from(code).unwrap_or(125)
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "workshop: run {name} in the sandbox: {error}");
            if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
        }
    }
}

fn give_back_signals(command: &mut Command) {
    let give_back = || {
        for each in [Signal::SIGINT, Signal::SIGQUIT] {
            // SAFETY: SIG_DFL is no handler, so there is nothing that could be unsound.
            unsafe { signal(each, SigHandler::SigDfl) }?;
        }
        Ok(())
    };
    // SAFETY: `give_back` does system calls only.
    unsafe { command.pre_exec(give_back) };
}

fn absolute(path: &std::path::Path) -> Result<std::path::PathBuf> {
    fs::canonicalize(path).with_context(|| format!("find {}", path.display()))
}
