//! `workshop grade`: every check of a step, each in a throw-away host of its own.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::checks::{self, Check};
use crate::colour::Colour;
use crate::interrupt;
use crate::judge::trial::Trial;
use crate::judge::verdict::Verdict;
use crate::progress::Progress;
use crate::report::{Judged, Report};
use crate::sandbox::fork::{Pending, first_ready};
use crate::subject::{Subject, SubjectOptions};
use crate::vm::MachineOptions;

/// How many checks run at the same time. Most of a check is waiting for the kernel.
const AT_ONCE: u8 = 8;
/// The same in a virtual machine, where most of it is emulated work. More at once would each take
/// so long that a right program seems to hang.
const AT_ONCE_IN_A_MACHINE: u8 = 2;

/// What `workshop grade` is told.
#[derive(Args)]
#[command(after_help = "\
The exit status is 0 when every point was reached, 1 when points were lost, and
2 when it could not be judged: wrong usage, nothing that can be executed, or a
machine on which no check can run.")]
pub struct Options {
    #[command(flatten)]
    subject: SubjectOptions,
    #[command(flatten)]
    machine: MachineOptions,
    /// How to report.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Count a check that this machine cannot run as a failure to judge (status 2).
    #[arg(long)]
    strict: bool,
    /// Also run the earlier steps' checks that earn no points here; one that fails gives status 1.
    #[arg(long)]
    thorough: bool,
    /// How many checks run at the same time: 8, and 2 in a virtual machine.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
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
    if options.machine.vm {
        let (program, rootfs) = (options.subject.program()?, options.subject.rootfs());
        return options.machine.run(&options.words()?, &program, rootfs);
    }
    let subject = options.subject.subject()?;
    let report = Report::new(subject.step.slug, subject.seed, judge(&subject, options)?);
    let mut out = io::stdout().lock();
    match options.format {
        Format::Human => report.write_text(&mut out, Colour::on(&io::stdout()))?,
        Format::Json => report.write_json(&mut out)?,
    }
    out.flush().context("write to standard output")?;
    let status = report.exit_status(options.strict);
    if status != 0 && matches!(options.format, Format::Json) {
        let _ = writeln!(io::stderr(), "workshop: --seed {} repeats this run", subject.seed);
    }
    Ok(match options.exit_code {
        ExitCodeWhen::Never => ExitCode::SUCCESS,
        ExitCodeWhen::Always => ExitCode::from(status),
    })
}

impl Options {
    /// The command line of this very run, without the virtual machine.
    fn words(&self) -> Result<Vec<OsString>> {
        let name = |value: Option<PossibleValue>| {
            value.map(|value| OsString::from(value.get_name())).unwrap_or_default()
        };
        let mut words = vec!["grade".into()];
        words.extend(self.subject.words()?);
        words.extend(["--format".into(), name(self.format.to_possible_value())]);
        words.extend(["--exit-code".into(), name(self.exit_code.to_possible_value())]);
        let jobs = self.jobs.unwrap_or(AT_ONCE_IN_A_MACHINE);
        words.extend(["--jobs".into(), jobs.to_string().into()]);
        words.extend(self.strict.then(|| "--strict".into()));
        words.extend(self.thorough.then(|| "--thorough".into()));
        Ok(words)
    }
}

/// A check that runs now.
struct Open {
    /// Its place among the checks of the step.
    place: usize,
    check: &'static Check,
    pending: Pending<Verdict>,
}

/// Runs all checks of the step, several at a time, and returns them in their order.
fn judge(subject: &Subject, options: &Options) -> Result<Vec<Judged>> {
    let mut due = subject.step.checks();
    if options.thorough {
        due.extend(subject.step.unpaid().map(|name| (name, 0)));
    }
    if let Some(verdict) = never_runs(subject)? {
        let judged = |(name, points): &(&str, u32)| {
            Ok(Judged { check: checks::find(name)?, points: *points, verdict: verdict.clone() })
        };
        return due.iter().map(judged).collect();
    }
    let at_once = usize::from(options.jobs.unwrap_or(AT_ONCE));
    let mut progress = Progress::new(due.len());
    let mut waiting = due.iter().enumerate();
    let mut open: Vec<Open> = Vec::new();
    let mut done: Vec<Option<Judged>> = due.iter().map(|_| None).collect();
    loop {
        for (place, (name, _)) in waiting.by_ref().take(at_once - open.len()) {
            let check = checks::find(name)?;
            progress.started(name);
            let pending = subject.start(place, |trial| Ok((check.holds)(trial).into()))?;
            open.push(Open { place, check, pending });
        }
        if open.is_empty() {
            return Ok(done.into_iter().flatten().collect());
        }
        let pending: Vec<_> = open.iter().map(|open| &open.pending).collect();
        let Open { place, check, pending } = open.swap_remove(first_ready(&pending)?);
        let verdict = verdict(pending)?;
        done[place] = Some(Judged { check, points: due[place].1, verdict });
    }
}

/// What every check would say, each after a long wait, of a step that does not even run a command.
fn never_runs(subject: &Subject) -> Result<Option<Verdict>> {
    let look = |trial: &Trial| Ok(trial.start().agent().map(drop).into());
    let verdict = verdict(subject.start(subject.step.checks().len(), look)?)?;
    Ok(Some(verdict).filter(|verdict| matches!(verdict, Verdict::Failed { .. })))
}

fn verdict(pending: Pending<Verdict>) -> Result<Verdict> {
    let finished = pending.finish();
    interrupt::check()?;
    // A check that did not come to its end was stopped: by its time limit, or by our mistake.
    Ok(finished.unwrap_or_else(|error| Verdict::Error { reason: format!("{error:#}") }))
}
