//! The child becomes the command.
//!
//! execvp(3) would do most of this, but what it cannot execute it hands to /bin/sh, and a program
//! for another machine then ends in a shell's syntax errors. A container runtime says what is wrong
//! instead.

use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, execv};

use crate::{refusal, signals};

/// Where execvp(3) looks if there is no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What is to be run: the end of every step's command line.
#[derive(clap::Args, Debug)]
pub struct CommandLine {
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub words: Vec<OsString>,
}

/// The command could not be started. It has statuses of its own, as in every shell.
#[derive(Debug)]
pub enum CommandError {
    /// There is no such file.
    NotFound(String),
    /// There is one, but the kernel does not execute it.
    CannotExecute(String),
}

impl CommandError {
    /// 127 or 126.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            CommandError::NotFound(_) => 127,
            CommandError::CannotExecute(_) => 126,
        }
    }
}

impl std::error::Error for CommandError {}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (CommandError::NotFound(message) | CommandError::CannotExecute(message)) = self;
        f.write_str(message)
    }
}

/// Replaces this process by the command, which keeps the environment and gets the caller's signal
/// mask. Returns only if that failed.
pub fn exec(command: &CommandLine) -> anyhow::Result<Infallible> {
    let name = &command.words[0];
    let words: Vec<CString> = command.words.iter().map(c_string).collect::<anyhow::Result<_>>()?;

    signals::give_back()?;
    let searched = is_searched(name);
    let mut refused = None;
    for path in candidates(name, env::var_os("PATH").as_deref()) {
        let Err(errno) = execv(&c_string(&path)?, &words);
        let missing = matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG);
        if (missing || searched) && access(&path, AccessFlags::F_OK).is_err() {
            continue;
        }
        refused.get_or_insert((path, errno));
        // As execvp(3) does it: after these, a later directory may still have a better one.
        if !matches!(errno, Errno::ENOENT | Errno::EACCES) {
            break;
        }
    }
    Err(match refused {
        Some((path, errno)) => CommandError::CannotExecute(refusal::explain(&path, errno)),
        None => CommandError::NotFound(not_found(name)),
    }
    .into())
}

/// The files that a command's name can mean.
fn candidates(name: &OsStr, path: Option<&OsStr>) -> Vec<PathBuf> {
    if !is_searched(name) {
        return vec![name.into()];
    }
    // An empty entry means the working directory, as execvp(3) has it.
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    path.as_bytes()
        .split(|&byte| byte == b':')
        .map(|entry| Path::new(OsStr::from_bytes(entry)).join(name))
        .collect()
}

/// Whether a command is looked for in `PATH`: only a name without a slash is.
fn is_searched(name: &OsStr) -> bool {
    !name.is_empty() && !name.as_bytes().contains(&b'/')
}

fn not_found(name: &OsStr) -> String {
    let message = format!("exec '{}': {}", name.display(), Errno::ENOENT);
    if !is_searched(name) {
        return message;
    }
    match env::var_os("PATH") {
        Some(path) => format!("{message} (in no directory of PATH, which is {})", path.display()),
        None => format!("{message} (in no directory of {DEFAULT_PATH}; PATH is not set)"),
    }
}

fn c_string(word: impl Into<OsString>) -> anyhow::Result<CString> {
    let word = word.into();
    CString::new(word.into_vec()).context("an argument with a NUL in it")
}

#[cfg(test)]
mod tests {
    use super::{OsStr, candidates};

    fn files(name: &str, path: Option<&str>) -> Vec<String> {
        let files = candidates(OsStr::new(name), path.map(OsStr::new));
        files.iter().map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn a_plain_name_is_searched_and_a_path_is_not() {
        assert_eq!(files("ls", Some("/a:/b")), ["/a/ls", "/b/ls"]);
        assert_eq!(files("./ls", Some("/a:/b")), ["./ls"]);
        assert_eq!(files("", Some("/a:/b")), [""]);
    }

    #[test]
    fn an_empty_entry_is_the_working_directory() {
        assert_eq!(files("ls", Some("/a:")), ["/a/ls", "ls"]);
        assert_eq!(files("ls", Some("")), ["ls"]);
        assert_eq!(files("ls", None), ["/bin/ls", "/usr/bin/ls"]);
    }
}
