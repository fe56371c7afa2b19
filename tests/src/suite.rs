//! `workshop suite`: all reference programs judged, here and in virtual machines with every layout
//! of control groups, as one table.
//!
//! In a machine this same command runs and reports as JSON, so that one start of a machine is
//! enough for all steps.

mod table;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use table::Table;

use crate::grade::{AT_ONCE, AT_ONCE_IN_A_MACHINE, Format, judge};
use crate::programs;
use crate::report::Report;
use crate::steps::{STEPS, Step};
use crate::subject::{Subject, seed_from_the_clock};
use crate::vm::{Layout, Machine};

/// What `workshop suite` is told.
#[derive(Args)]
#[command(after_help = "\
The exit status is 0 when no check failed, 1 when one did, and 2 when the judge
itself did, or, with --strict, when a check could not be run.")]
pub struct Options {
    /// On this host and in a machine of each layout.
    #[arg(long, conflicts_with = "on")]
    vm: bool,
    /// On these only; `native` is this host.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "HOSTS", default_value = "native")]
    on: Vec<Place>,
    #[command(flatten)]
    machine: Machine,
    /// Only this step; may be repeated.
    #[arg(long, value_name = "STEP")]
    step: Vec<String>,
    /// Also run the checks of earlier steps that earn no points.
    #[arg(long)]
    thorough: bool,
    /// How many checks run at the same time: 8, and 2 in a virtual machine.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// Draw names and numbers from this seed, to repeat a run exactly.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Count a check that cannot be run as a failure to judge (status 2).
    #[arg(long)]
    strict: bool,
    /// How to report.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Where the programs are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Place {
    /// This host, as it is.
    Native,
    /// A machine with version 2 of control groups alone.
    V2,
    /// One with version 1.
    V1,
    /// One with version 1 for the controllers, and version 2 beside it.
    Hybrid,
}

/// What was found in one place.
#[derive(Serialize, Deserialize)]
struct Column {
    /// `native`, or the layout of the machine.
    place: String,
    /// How long it took, with the start of the machine.
    seconds: u64,
    /// One for each step.
    reports: Vec<Report>,
    /// Why nothing could be judged here: there is no machine.
    unsupported: Option<String>,
    /// Why it is not known how the rest of the steps would have been judged.
    error: Option<String>,
}

/// Judges all, and prints the table.
pub fn run(options: &Options) -> Result<ExitCode> {
    let steps = options.steps()?;
    let programs = programs::directory()?;
    let seed = options.seed.unwrap_or_else(seed_from_the_clock);
    let mut columns = Vec::new();
    for place in options.places() {
        if options.format == Format::Human {
            let _ = writeln!(io::stderr(), "Judging {} steps: {} …", steps.len(), place.name());
        }
        let start = Instant::now();
        let mut column = match place.layout() {
            None => natively(options, &steps, &programs, seed)?,
            Some(layout) => in_a_machine(options, layout, &steps, &programs, seed)?,
        };
        place.name().clone_into(&mut column.place);
        column.seconds = start.elapsed().as_secs();
        columns.push(column);
    }
    let table = Table::new(&steps, &columns, seed);
    match options.format {
        Format::Human => write!(io::stdout(), "{table}"),
        Format::Json => {
            serde_json::to_writer(io::stdout(), &columns).context("write JSON")?;
            writeln!(io::stdout())
        }
    }
    .context("write to standard output")?;
    Ok(ExitCode::from(table.exit_status(options.strict)))
}

/// Judges the steps on this host.
fn natively(
    options: &Options,
    steps: &[&'static Step],
    programs: &Path,
    seed: u64,
) -> Result<Column> {
    let mut column = Column::empty();
    for step in steps {
        let subject = Subject {
            step,
            program: programs.join(step.name()),
            prefix: Vec::new(),
            rootfs: None,
            seed,
        };
        let judged = judge(&subject, options.thorough, options.jobs.unwrap_or(AT_ONCE))?;
        column.reports.push(Report::new(step.slug, seed, judged));
    }
    Ok(column)
}

/// Has this command judge the steps in a machine.
fn in_a_machine(
    options: &Options,
    layout: Layout,
    steps: &[&'static Step],
    programs: &Path,
    seed: u64,
) -> Result<Column> {
    let mut column = Column::empty();
    column.unsupported = options.machine.prepare()?;
    if column.unsupported.is_some() {
        return Ok(column);
    }
    let shares: Vec<PathBuf> = steps.iter().map(|step| programs.join(step.name())).collect();
    let mut answer = tempfile::tempfile().context("make a temporary file")?;
    let stdout = Stdio::from(answer.try_clone().context("dup")?);
    let words = options.words(steps, seed);
    let status = options.machine.run_workshop(layout, words, &shares, stdout)?;
    answer.rewind().context("rewind the temporary file")?;
    match read(answer) {
        Ok(inside) => column.reports = inside.reports,
        Err(error) => column.error = Some(format!("no report came out ({status}): {error:#}")),
    }
    Ok(column)
}

/// The one column that a machine reports.
fn read(answer: File) -> Result<Column> {
    let mut columns: Vec<Column> = serde_json::from_reader(answer).context("read JSON")?;
    match (columns.pop(), columns.is_empty()) {
        (Some(column), true) => Ok(column),
        _ => bail!("it is about more than one place"),
    }
}

impl Options {
    fn places(&self) -> &[Place] {
        if self.vm { Place::value_variants() } else { &self.on }
    }

    fn steps(&self) -> Result<Vec<&'static Step>> {
        if self.step.is_empty() {
            return Ok(STEPS.iter().collect());
        }
        self.step.iter().map(|word| Step::find(word)).collect()
    }

    /// The command line for the machine.
    fn words(&self, steps: &[&Step], seed: u64) -> Vec<OsString> {
        let jobs = self.jobs.unwrap_or(AT_ONCE_IN_A_MACHINE).to_string();
        let mut words: Vec<String> = vec!["suite".into(), "--format".into(), "json".into()];
        words.extend(["--seed".into(), seed.to_string(), "--jobs".into(), jobs]);
        words.extend(steps.iter().flat_map(|step| ["--step".to_owned(), step.slug.to_owned()]));
        words.extend(self.thorough.then(|| "--thorough".to_owned()));
        words.into_iter().map(OsString::from).collect()
    }
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Native => "native",
            Place::V2 => "v2",
            Place::V1 => "v1",
            Place::Hybrid => "hybrid",
        }
    }

    fn layout(self) -> Option<Layout> {
        match self {
            Place::Native => None,
            Place::V2 => Some(Layout::V2),
            Place::V1 => Some(Layout::V1),
            Place::Hybrid => Some(Layout::Hybrid),
        }
    }
}

impl Column {
    fn empty() -> Column {
        Column {
            place: String::new(),
            seconds: 0,
            reports: Vec::new(),
            unsupported: None,
            error: None,
        }
    }
}
