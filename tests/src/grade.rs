//! `workshop grade`: every check of a step, each in a throw-away host of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::checks::{self, Check};
use crate::judge::program::is_executable;
use crate::judge::trial::Trial;
use crate::judge::verdict::Verdict;
use crate::report::{Judged, Report};
use crate::sandbox::Sandbox;
use crate::sandbox::fork::Pending;
use crate::steps::Step;

/// How long one check may take in all; only a program that hangs ever does.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How many checks run at the same time. Most of a check is waiting for the kernel.
const AT_ONCE: usize = 4;

/// What `workshop grade` is told.
#[derive(Args)]
pub struct Options {
    /// The step to judge: `03`, `pivot-root` or `03-pivot-root`.
    #[arg(long, value_name = "STEP")]
    step: String,
    /// The program to judge.
    #[arg(long, value_name = "PATH")]
    bin: PathBuf,
    /// A root file system to give to the step instead of a nearly empty one.
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Draw names, numbers and limits from this seed, to repeat a run exactly.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
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
    let step = Step::find(&options.step)?;
    let program = fs::canonicalize(&options.bin)
        .with_context(|| format!("find the program {}", options.bin.display()))?;
    if !is_executable(&program) {
        bail!("{} is not a program: it must be a file that may be executed", program.display());
    }
    let rootfs = options.rootfs.as_deref().map(absolute_directory).transpose()?;
    let seed = options.seed.unwrap_or_else(seed_from_the_clock);
    let subject = Subject { step, program: &program, rootfs: rootfs.as_deref(), seed };
    let report = Report::new(step, seed, subject.judge()?);
    match options.format {
        Format::Human => report.print_for_people()?,
        Format::Json => report.print_json()?,
    }
    Ok(match options.exit_code {
        ExitCodeWhen::Never => ExitCode::SUCCESS,
        ExitCodeWhen::Always => ExitCode::from(report.exit_status(options.strict)),
    })
}

/// What is judged, and how.
pub struct Subject<'s> {
    pub step: &'static Step,
    pub program: &'s Path,
    pub rootfs: Option<&'s Path>,
    pub seed: u64,
}

impl Subject<'_> {
    /// Runs all checks of the step, several at a time, and returns them in their order.
    pub fn judge(&self) -> Result<Vec<Judged>> {
        let mut open: Vec<(usize, &'static Check, Pending<Verdict>)> = Vec::new();
        let mut done: Vec<Option<Judged>> = self.step.checks.iter().map(|_| None).collect();
        let mut next = 0;
        while next < done.len() || !open.is_empty() {
            while next < done.len() && open.len() < AT_ONCE {
                let check = checks::find(self.step.checks[next].0)?;
                open.push((next, check, self.start(check, next)?));
                next += 1;
            }
            let (place, check, pending) = open.swap_remove(first_ready(&open)?);
            let verdict = pending.finish().unwrap_or_else(|error| stopped(&error));
            let points = self.step.checks[place].1;
            done[place] = Some(Judged { check, points, verdict });
        }
        Ok(done.into_iter().flatten().collect())
    }

    /// Starts one check in a throw-away host.
    fn start(&self, check: &'static Check, place: usize) -> Result<Pending<Verdict>> {
        let mut shares = vec![self.program.to_owned()];
        // A script may need what lies beside it; but all of /tmp is too much to show.
        let parent = self.program.parent().filter(|dir| dir.components().count() > 2);
        shares.extend(parent.map(Path::to_owned));
        shares.extend(self.rootfs.map(Path::to_owned));
        shares.sort();
        let seed = self.seed.wrapping_add(place as u64);
        Sandbox { shares, time_limit: TIME_LIMIT, terminal: false }.start(|host| {
            let trial = Trial::prepare(host, self.step, self.program, self.rootfs, seed)?;
            Ok((check.holds)(&trial).into())
        })
    }
}

/// What a check that did not come to its end says of the program, or of us.
fn stopped(error: &anyhow::Error) -> Verdict {
    Verdict::Error { reason: format!("{error:#}") }
}

/// The index of a check that has ended, or whose time is up.
fn first_ready<T, C>(open: &[(usize, C, Pending<T>)]) -> Result<usize>
where
    T: serde::de::DeserializeOwned,
{
    loop {
        let now = Instant::now();
        if let Some(late) = open.iter().position(|(_, _, pending)| pending.deadline() <= now) {
            return Ok(late);
        }
        let nearest = open.iter().map(|(_, _, pending)| pending.deadline()).min();
        let left = nearest.map_or(Duration::ZERO, |deadline| deadline - now);
        let mut wait: Vec<PollFd> = open
            .iter()
            .map(|(_, _, pending)| PollFd::new(pending.wake(), PollFlags::POLLIN))
            .collect();
        match poll(&mut wait, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("poll the checks"),
        }
        let ready = |fd: &PollFd| fd.revents().is_some_and(|events| !events.is_empty());
        if let Some(index) = wait.iter().position(ready) {
            return Ok(index);
        }
    }
}

fn absolute_directory(path: &Path) -> Result<PathBuf> {
    let path = fs::canonicalize(path).with_context(|| format!("find {}", path.display()))?;
    if !path.is_dir() {
        bail!("{} is not a directory", path.display());
    }
    Ok(path)
}

fn seed_from_the_clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ now.as_secs()
}
