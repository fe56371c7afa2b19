//! `workshop grade`: every check of a step, each in a throw-away host of its own.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
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
use crate::vm::{Layout, Machine};

/// How many checks run at the same time. Most of a check is waiting for the kernel.
pub const AT_ONCE: u8 = 8;
/// The same in a virtual machine, where most of it is emulated work. More at once would each take
/// so long that a right program seems to hang.
pub const AT_ONCE_IN_A_MACHINE: u8 = 2;

const WITHOUT_A_MACHINE: &str = "--cgroup, --kernel, --user and --share describe a virtual \
                                 machine: add --vm";

/// What `workshop grade` is told.
#[derive(Args, Debug, PartialEq)]
#[command(after_help = "\
The exit status is 0 when every point was reached, 1 when points were lost, and
2 when it could not be judged: wrong usage, nothing that can be executed, or a
machine on which no check can run.")]
pub struct Options {
    #[command(flatten)]
    subject: SubjectOptions,
    /// Judge in a throw-away virtual machine (vagrant/qemu): needs no root, and trusts nobody.
    #[arg(long)]
    vm: bool,
    /// How the machine's control groups are laid out: v2, if nothing is said.
    #[arg(long, value_enum, value_name = "LAYOUT")]
    cgroup: Option<Layout>,
    #[command(flatten)]
    machine: Machine,
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

#[derive(Clone, Copy, Debug, Default, PartialEq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, ValueEnum)]
enum ExitCodeWhen {
    /// 0 when every point was reached, 1 when points were lost, 2 when it could not be judged.
    #[default]
    Always,
    /// 0 whenever grading itself ran.
    Never,
}

/// Judges one program and prints the report.
pub fn run(options: &Options) -> Result<ExitCode> {
    if options.vm {
        return options.run_in_a_machine();
    }
    ensure!(!options.machine.is_described() && options.cgroup.is_none(), "{WITHOUT_A_MACHINE}");
    let subject = options.subject.subject()?;
    let at_once = options.jobs.unwrap_or(AT_ONCE);
    let judged = judge(&subject, options.thorough, at_once)?;
    let report = Report::new(subject.step.slug, subject.seed, judged);
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
    /// The same in the machine, with the program and its root file system put in.
    fn run_in_a_machine(&self) -> Result<ExitCode> {
        let program = self.subject.program()?;
        let shares: Vec<PathBuf> =
            [program].into_iter().chain(self.subject.rootfs().map(Path::to_owned)).collect();
        let layout = self.cgroup.unwrap_or_default();
        let status = self.machine.run_workshop(layout, self.words()?, &shares, Stdio::inherit())?;
        Ok(match status.code() {
            // It has said already why there is no verdict: no machine, or no end.
            None | Some(124 | 125) => ExitCode::from(2),
            Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(2)),
        })
    }

    /// The command line of this very run, without the virtual machine.
    fn words(&self) -> Result<Vec<OsString>> {
        // None is left out by mistake when there is one more.
        let Options {
            subject,
            vm: _,
            cgroup: _,
            machine: _,
            format,
            strict,
            thorough,
            jobs,
            exit_code,
        } = self;
        let name = |value: Option<PossibleValue>| {
            value.map(|value| OsString::from(value.get_name())).unwrap_or_default()
        };
        let mut words = vec!["grade".into()];
        words.extend(subject.words()?);
        words.extend(["--format".into(), name(format.to_possible_value())]);
        words.extend(["--exit-code".into(), name(exit_code.to_possible_value())]);
        let jobs = jobs.unwrap_or(AT_ONCE_IN_A_MACHINE);
        words.extend(["--jobs".into(), jobs.to_string().into()]);
        words.extend(strict.then(|| "--strict".into()));
        words.extend(thorough.then(|| "--thorough".into()));
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

/// Runs all checks of the step (with the unpaid ones if it is to be `thorough`), several at a time, and returns them in their order.
pub fn judge(subject: &Subject, thorough: bool, at_once: u8) -> Result<Vec<Judged>> {
    let mut due = subject.step.checks();
    if thorough {
        due.extend(subject.step.unpaid().map(|name| (name, 0)));
    }
    if let Some(verdict) = never_runs(subject)? {
        let judged = |(name, points): &(&str, u32)| {
            Ok(Judged { check: checks::find(name)?, points: *points, verdict: verdict.clone() })
        };
        return due.iter().map(judged).collect();
    }
    let at_once = usize::from(at_once);
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

#[cfg(test)]
mod tests {
    use std::env;
    use std::ffi::OsString;

    use clap::Parser;

    use super::{AT_ONCE_IN_A_MACHINE, Options};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    /// The options as they are read from `grade WORD...`.
    fn read(words: &[OsString]) -> Options {
        assert_eq!(words[0], "grade");
        Line::try_parse_from(words).unwrap().options
    }

    /// `grade --step 03 --bin THIS MORE...`; the program must exist.
    fn line(more: &[&str]) -> Vec<OsString> {
        let this = env::current_exe().unwrap().canonicalize().unwrap();
        let first = ["grade".into(), "--step".into(), "03".into(), "--bin".into(), this.into()];
        first.into_iter().chain(more.iter().map(OsString::from)).collect()
    }

    #[test]
    fn what_goes_into_the_machine_is_read_there_as_it_was_here() {
        let said = [
            "--arg",
            "run",
            "--arg=--with a space",
            "--arg=",
            "--rootfs",
            "/some/where",
            "--seed",
            "7",
            "--format",
            "json",
            "--exit-code",
            "never",
            "--jobs",
            "3",
            "--strict",
            "--thorough",
        ];
        let here = read(&line(&said));
        assert_eq!(read(&here.words().unwrap()), here);
    }

    #[test]
    fn what_is_not_said_stays_so_but_for_how_many_run_at_once() {
        let here = read(&line(&[]));
        let there = read(&here.words().unwrap());
        assert_eq!(there.jobs, Some(AT_ONCE_IN_A_MACHINE));
        assert_eq!(Options { jobs: None, ..there }, here);
    }

    #[test]
    fn what_describes_the_machine_stays_outside_and_paths_are_absolute() {
        let machine = ["--vm", "--cgroup", "v1", "--kernel", "trixie", "--user", "--share", "/x"];
        let inside = read(&line(&[&machine[..], &["--rootfs", "a"]].concat())).words().unwrap();
        let rootfs = env::current_dir().unwrap().join("a");
        let same = line(&["--rootfs", rootfs.to_str().unwrap(), "--jobs", "2"]);
        assert_eq!(read(&inside), read(&same));
    }
}
