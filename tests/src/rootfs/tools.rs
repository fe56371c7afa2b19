//! What this host has that a root file system can be made of.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::elf::Elf;
use crate::executables::candidates;
use crate::interrupt;

/// Where the programs of a root file system come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tools {
    /// One busybox, under the names of all that it can do.
    Busybox(PathBuf),
    /// The host's own shell and tools.
    Host,
}

impl Tools {
    /// The better of what this host has: a static busybox, any busybox, its own programs.
    pub fn of_this_host() -> Tools {
        let mut found: Vec<(bool, PathBuf)> = (candidates("busybox").into_iter())
            .filter_map(|path| Some((Elf::read(&path).ok()??.interpreter.is_some(), path)))
            .filter(|(_, path)| applets(path).is_ok_and(|names| names.iter().any(|n| n == "sh")))
            .collect();
        // Stable, so that among equals the first one found remains the first.
        found.sort_by_key(|(dynamic, _)| *dynamic);
        match found.into_iter().next() {
            Some((_, path)) => Tools::Busybox(path),
            None => Tools::Host,
        }
    }
}

/// What is copied of the host's own programs, as far as it has them: enough to look around in
/// a container, and to try what the steps take away.
pub const PROGRAMS: &[&str] = &[
    "[",
    "basename",
    "cat",
    "chmod",
    "chown",
    "chroot",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "dirname",
    "dmesg",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "findmnt",
    "free",
    "grep",
    "groups",
    "head",
    "hostname",
    "id",
    "ip",
    "ipcmk",
    "ipcrm",
    "ipcs",
    "kill",
    "ln",
    "ls",
    "lsns",
    "mkdir",
    "mkfifo",
    "mknod",
    "mktemp",
    "mount",
    "mountpoint",
    "mv",
    "nice",
    "nproc",
    "nsenter",
    "od",
    "ping",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setpriv",
    "sleep",
    "sort",
    "stat",
    "stty",
    "sync",
    "tail",
    "tee",
    "test",
    "timeout",
    "top",
    "touch",
    "tr",
    "true",
    "tty",
    "umount",
    "uname",
    "uniq",
    "unshare",
    "uptime",
    "wc",
    "whoami",
    "xargs",
    "yes",
];

/// The names of what `busybox` can do, as it lists them itself.
pub fn applets(busybox: &Path) -> Result<Vec<String>> {
    let mut list = Command::new(busybox);
    list.arg("--list");
    interrupt::give_back(&mut list);
    let output = list.output().with_context(|| format!("run {} --list", busybox.display()))?;
    ensure!(output.status.success(), "{} --list ended with {}", busybox.display(), output.status);
    let names = String::from_utf8(output.stdout)?;
    Ok(names.lines().map(str::to_string).collect())
}
