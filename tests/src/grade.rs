//! `workshop grade`: every check of a step, each in a throw-away host of its own.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::checks::{self, Check};
use crate::interrupt;
use crate::judge::verdict::Verdict;
use crate::report::{Judged, Report};
use crate::sandbox::fork::{Pending, first_ready};
use crate::subject::{Subject, SubjectOptions};

/// How many checks run at the same time. Most of a check is waiting for the kernel.
const AT_ONCE: usize = 8;

/// What `workshop grade` is told.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    subject: SubjectOptions,
    /// How to report.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Count a check that this machine cannot run as a failure to judge (status 2).
    #[arg(long)]
    strict: bool,
    /// When to tell the score by the exit status.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    exit_code: ExitCodeWhen,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

#[derive(Clone, Copy, Default, PartialEq, ValueEnum)]
enum ExitCodeWhen {
    /// 0 when every point was reached, 1 when points were lost, 2 when it could not be judged.
    #[default]
    Always,
    /// 0 whenever grading itself ran.
    Never,
}

/// Judges one program and prints the report.
pub fn run(options: &Options) -> Result<ExitCode> {
    let subject = options.subject.subject()?;
    let report = Report::new(&subject, judge(&subject)?);
    match options.format {
        Format::Human => report.print_for_people()?,
        Format::Json => report.print_json()?,
    }
    Ok(match options.exit_code {
        ExitCodeWhen::Never => ExitCode::SUCCESS,
        ExitCodeWhen::Always => ExitCode::from(report.exit_status(options.strict)),
    })
}

/// Runs all checks of the step, several at a time, and returns them in their order.
pub fn judge(subject: &Subject) -> Result<Vec<Judged>> {
    let mut open: Vec<(usize, &'static Check, Pending<Verdict>)> = Vec::new();
    let mut done: Vec<Option<Judged>> = subject.step.checks.iter().map(|_| None).collect();
    let mut next = 0;
    while next < done.len() || !open.is_empty() {
        while next < done.len() && open.len() < AT_ONCE {
            let check = checks::find(subject.step.checks[next].0)?;
            let look = subject.start(next, |trial| Ok((check.holds)(trial).into()))?;
            open.push((next, check, look));
            next += 1;
        }
        let pending: Vec<_> = open.iter().map(|(_, _, pending)| pending).collect();
        let (place, check, pending) = open.swap_remove(first_ready(&pending)?);
        let finished = pending.finish();
        interrupt::check()?;
        // A check that did not come to its end was stopped: by its time limit, or by our mistake.
        let verdict =
            finished.unwrap_or_else(|error| Verdict::Error { reason: format!("{error:#}") });
        let points = subject.step.checks[place].1;
        done[place] = Some(Judged { check, points, verdict });
    }
    Ok(done.into_iter().flatten().collect())
}
