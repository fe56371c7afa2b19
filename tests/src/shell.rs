//! `workshop sandbox`: a shell or a command in a throw-away host; at a terminal, as a [`job`] of
//! it.

mod job;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use job::Terminal;

use crate::interrupt;
use crate::judge::run::as_a_shell_says;
use crate::sandbox::{Host, Sandbox};

/// What `workshop sandbox` is told.
#[derive(Args)]
#[command(after_help = "\
In it you are root of a machine of your own: it has the files of this one, and
mounts, processes, network, host name and IPC objects that nothing else sees.
So the steps 01 to 07, which need root, run in it for everybody. Break what you
like: nothing that is done inside stays, not even a changed file. When the
command ends, everything inside ends with it.

The exit status is the command's; 127 if there is no such command, 126 if it
cannot be executed, 2 if no sandbox can be made here.")]
pub struct Options {
    /// Show this too, below the fresh /tmp, /var/tmp and /run; may be repeated.
    #[arg(long, value_name = "PATH")]
    share: Vec<PathBuf>,
    /// End everything inside after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u64>,
    /// The command and its arguments; your shell if there are none.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command inside and returns its status, as a shell reports it.
pub fn run(options: &Options) -> Result<ExitCode> {
    let shares: Result<Vec<_>> = options.share.iter().map(|path| absolute(path)).collect();
    let mut shares = shares?;
    // Whoever stands in a directory that was deleted begins in `/`.
    shares.extend(env::current_dir());
    // The programs that a learner runs here are those of his clone, wherever that lies.
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    shares.extend(clone.filter(|dir| dir.is_dir()).map(Path::to_owned));
    shares.sort();
    shares.dedup();
    // A day is as good as no limit.
    let time_limit = Duration::from_secs(options.time_limit.unwrap_or(86_400));
    let sandbox = Sandbox { shares, overlays: Vec::new(), time_limit, terminal: true };
    let terminal = Terminal::of_caller();
    let words = words(&options.command);
    let work = |host: &Host| Ok(execute(host, &words, terminal.as_ref()));
    let status = sandbox.start(work)?.finish();
    if let Some(terminal) = terminal {
        terminal.take_back();
    }
    Ok(ExitCode::from(status?))
}

/// The command and its arguments: the caller's shell, if he gives none.
fn words(given: &[OsString]) -> Vec<OsString> {
    let shell = || vec![env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())];
    if given.is_empty() { shell() } else { given.to_vec() }
}

fn execute(host: &Host, words: &[OsString], terminal: Option<&Terminal>) -> u8 {
    run_to_its_end(host, words, terminal).unwrap_or_else(|error| {
        let name = words[0].display();
        let _ = writeln!(io::stderr(), "workshop: run {name} in the sandbox: {error}");
        if error.kind() == ErrorKind::NotFound { 127 } else { 126 }
    })
}

fn run_to_its_end(host: &Host, words: &[OsString], terminal: Option<&Terminal>) -> io::Result<u8> {
    let mut command = host.command(&words[0]);
    command.args(&words[1..]).env("COOPERAGE_SANDBOX", "1");
    if let Some(terminal) = terminal {
        terminal.hand_to(&mut command)?;
    }
    interrupt::give_back(&mut command);
    let mut child = command.spawn()?;
    let status = match terminal {
        Some(terminal) => terminal.wait(&child)?,
        None => as_a_shell_says(child.wait()?),
    };
    Ok(u8::try_from(status).unwrap_or(125))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("find {}", path.display()))
}
