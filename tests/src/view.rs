//! The view: what a command sees inside of a container, facet by facet, as the kernel tells it.
//!
//! It is normalised (no process numbers, no inodes, nothing of this machine), so that the same file
//! is the regression test of a step, the specification that students are graded against, and the
//! listing in its chapter.

pub mod limits;
mod look;

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

pub use look::look;

use crate::judge::verdict::Broken;
use crate::subject::{Subject, SubjectOptions};

/// What `workshop view` is told.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    subject: SubjectOptions,
}

/// Prints the view of one step.
pub fn run(options: &Options) -> Result<ExitCode> {
    let view = of(&options.subject.subject()?)?;
    write!(io::stdout(), "{view}").context("write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// How much of a facet a container has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It sees and touches the host's.
    Shared,
    /// It uses the host's, up to a limit.
    Limited,
    /// It has its own.
    Own,
}

impl State {
    /// What the state says, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            State::Shared => "shared with the host",
            State::Limited => "limited",
            State::Own => "its own",
        }
    }
}

/// One facet of what a command sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facet {
    /// What the reader calls it.
    pub name: String,
    /// How much of it the container has to itself.
    pub state: State,
    /// What the kernel shows of the container, in lines that are the same on every machine.
    pub shown: Vec<String>,
    /// What it shows on this machine: of the host, and of the container.
    pub witness: [String; 2],
}

/// All facets, in the order in which the steps change them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Each once.
    pub facets: Vec<Facet>,
}

/// Runs the program in a throw-away host and looks at its command.
pub fn of(subject: &Subject) -> Result<View> {
    let look = subject.start(0, |trial| Ok(look(trial).map_err(explain)))?;
    look.finish()?.or_else(|reason: String| bail!("{reason}"))
}

/// The reason, in one sentence.
pub fn explain(broken: Broken) -> String {
    match broken {
        Broken::Promise { expected, shown } => format!("expected: {expected}; shown: {shown}"),
        Broken::Unsupported(reason) => reason,
        Broken::Judge(error) => format!("{error:#}"),
    }
}

impl Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for facet in &self.facets {
            let state = match facet.state {
                State::Shared => "shared",
                State::Limited => "limited",
                State::Own => "own",
            };
            for (number, line) in facet.shown.iter().enumerate() {
                let (name, state) =
                    if number == 0 { (facet.name.as_str(), state) } else { ("", "") };
                writeln!(f, "{}", format!("{name:<15} {state:<8} {line}").trim_end())?;
            }
        }
        Ok(())
    }
}
