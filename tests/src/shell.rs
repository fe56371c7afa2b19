//! `workshop sandbox`: a shell or a command in a throw-away host.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

use crate::interrupt;
use crate::judge::program::as_a_shell_says;
use crate::sandbox::{Host, Sandbox};

/// What `workshop sandbox` is told.
#[derive(Args)]
#[command(after_help = "\
In it you are root of a machine of your own: it has the files of this one, and mounts, processes, \
network, host name and IPC objects that nothing else sees. So the steps 01 to 07, which need root, \
run in it for everybody. Break what you like: nothing that is done inside stays, not even a changed \
file. When the command ends, everything inside ends with it.

Its exit status is the command's; 127 if there is no such command, 126 if it cannot be executed, \
2 if no sandbox can be made here.")]
pub struct Options {
    /// Show this file or directory too, where the sandbox has a fresh /tmp, /var/tmp or /run
    /// (the working directory is always there); may be repeated.
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
    let foreground = Foreground::now();
    let status = sandbox.start(|host| Ok(execute(host, &options.command)))?.finish();
    foreground.take_back();
    Ok(ExitCode::from(status?))
}

fn execute(host: &Host, words: &[OsString]) -> u8 {
    let shell = [env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())];
    let words = if words.is_empty() { &shell } else { words };
    let mut command = host.command(&words[0]);
    command.args(&words[1..]).env("COOPERAGE_SANDBOX", "1");
    interrupt::give_back(&mut command);
    match command.status() {
        Ok(status) => u8::try_from(as_a_shell_says(status)).unwrap_or(125),
        Err(error) => {
            let name = words[0].display();
            let _ = writeln!(io::stderr(), "workshop: run {name} in the sandbox: {error}");
            if error.kind() == ErrorKind::NotFound { 127 } else { 126 }
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("find {}", path.display()))
}

/// Who has the terminal. A shell inside takes it for its jobs, and cannot give it back to us: from
/// within its process-id namespace we have no number.
struct Foreground(Option<(File, Pid)>);

impl Foreground {
    fn now() -> Foreground {
        let ours = |terminal: &File| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp());
        let terminal = File::open("/dev/tty").ok().filter(ours);
        Foreground(terminal.map(|terminal| (terminal, getpgrp())))
    }

    fn take_back(self) {
        let Some((terminal, group)) = self.0 else { return };
        // Who is in the background is stopped when he does this, unless he blocks the signal.
        let stop = SigSet::from(Signal::SIGTTOU);
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&stop), None);
        let _ = tcsetpgrp(terminal, group);
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&stop), None);
    }
}
