//! `workshop doctor`: what of the workshop this machine can do, for the user who asks.
//!
//! It says one line for each thing, and under it the remedy where something is missing. Nothing
//! is guessed from version numbers that can be tried: each trial runs in a child process, in
//! namespaces of its own, and leaves nothing ([`attempt`](crate::sandbox::fork::attempt)).
//!
//! - [`host`]: the kernel, and who the caller is to it
//! - [`namespaces`]: each of the eight, and what may forbid them
//! - [`filesystems`]: `/proc` and the others, and overlays
//! - [`cgroups`]: version, controllers, delegation
//! - [`seccomp`]: system-call filters
//! - [`tools`]: what the reader works with

mod cgroups;
mod filesystems;
mod host;
mod namespaces;
mod seccomp;
mod tools;

use std::io::{self, IsTerminal, Write};

use crate::colour::{Colour, GREEN, RED, YELLOW};
use crate::sandbox::users::Privilege;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Every step can be judged, but something works less well.
    Limited,
    /// Some step cannot be judged here.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub title: String,
    /// How it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do, where something is not as it should be.
    pub fix: Option<String>,
}

impl Finding {
    fn ok(title: impl Into<String>, found: impl Into<String>) -> Finding {
        let (title, found) = (title.into(), found.into());
        Finding { title, level: Level::Ok, found, fix: None }
    }

    fn limited(
        title: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        let (title, found, fix) = (title.into(), found.into(), Some(fix.into()));
        Finding { title, level: Level::Limited, found, fix }
    }

    fn missing(
        title: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Missing, ..Finding::limited(title, found, fix) }
    }

    /// Missing, but for a reason that has its own line.
    fn needs_user_namespace(title: impl Into<String>) -> Finding {
        Finding {
            fix: None,
            ..Finding::missing(title, "needs the user namespace above, or root", "")
        }
    }
}

/// Looks at everything. To be called while the process has one thread: it forks.
pub fn examine() -> Vec<Finding> {
    let privilege = Privilege::of_caller();
    let mut findings = host::kernel();
    findings.push(host::caller(privilege));
    findings.extend(namespaces::examine(privilege));
    findings.push(host::subordinate_ids());
    findings.extend(filesystems::examine(privilege));
    findings.extend(cgroups::examine(privilege));
    findings.extend([seccomp::examine(), tools::examine(), tools::terminal()]);
    findings
}

/// Looks at everything and writes it to `out`. Returns whether every step can be judged here.
pub fn run(out: &mut (impl Write + IsTerminal)) -> io::Result<bool> {
    let findings = examine();
    let colour = Colour::on(out);
    let width = findings.iter().map(|finding| finding.title.len()).max().unwrap_or(0);
    for Finding { title, level, found, fix } in &findings {
        let word = match level {
            Level::Ok => colour.paint("ok     ", GREEN),
            Level::Limited => colour.paint("limited", YELLOW),
            Level::Missing => colour.paint("missing", RED),
        };
        writeln!(out, "{word}  {title:width$}  {found}")?;
        if let Some(fix) = fix {
            writeln!(out, "{:9}{:width$}  fix: {fix}", "", "")?;
        }
    }
    let missing = findings.iter().filter(|finding| finding.level == Level::Missing).count();
    match missing {
        0 => writeln!(out, "\nEvery step can be judged here.")?,
        _ => writeln!(
            out,
            "\nMissing: {missing}. What needs it is counted as unsupported here, never as passed."
        )?,
    }
    Ok(missing == 0)
}
