//! The report on one step: for people, and for programs.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::checks::Check;
use crate::judge::verdict::Verdict;
use crate::subject::Subject;

/// A check that was run.
pub struct Judged {
    pub check: &'static Check,
    pub points: u32,
    pub verdict: Verdict,
}

/// All that is known of one program after it was judged.
#[derive(Serialize)]
pub struct Report {
    step: &'static str,
    score: u32,
    /// The points of the checks that could run here.
    max: u32,
    /// The points of those that could not.
    unsupported_points: u32,
    seed: u64,
    checks: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    status: &'static str,
    points: u32,
    max: u32,
    message: String,
}

impl Report {
    /// Adds up the points.
    pub fn new(subject: &Subject, judged: Vec<Judged>) -> Report {
        let checks: Vec<Line> = judged.into_iter().map(Line::from).collect();
        let sum = |counts: fn(&Line) -> bool, points: fn(&Line) -> u32| {
            checks.iter().filter(|line| counts(line)).map(points).sum()
        };
        Report {
            step: subject.step.slug,
            score: sum(|_| true, |line| line.points),
            max: sum(|line| line.status != "unsupported", |line| line.max),
            unsupported_points: sum(|line| line.status == "unsupported", |line| line.max),
            seed: subject.seed,
            checks,
        }
    }

    /// 0 when every point was reached, 1 when points were lost, 2 when it could not be judged.
    pub fn exit_status(&self, strict: bool) -> u8 {
        let any = |status: &str| self.checks.iter().any(|line| line.status == status);
        if any("error") || self.max == 0 || (strict && any("unsupported")) {
            2
        } else {
            u8::from(self.score < self.max)
        }
    }

    /// Prints the report as one JSON object.
    pub fn print_json(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("write JSON")?;
        writeln!(io::stdout(), "{text}").context("write to standard output")
    }

    /// Prints the report as text, with what was expected and shown for everything that failed.
    pub fn print_for_people(&self) -> Result<()> {
        let mut out = io::stdout().lock();
        let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        for line in &self.checks {
            line.print(&mut out, colour).context("write to standard output")?;
        }
        self.print_sum(&mut out).context("write to standard output")
    }

    fn print_sum(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "\n{}: {} of {} points", self.step, self.score, self.max)?;
        if self.unsupported_points > 0 {
            write!(out, "; {} more could not be judged here", self.unsupported_points)?;
        }
        writeln!(out, " (seed {})", self.seed)
    }
}

impl From<Judged> for Line {
    fn from(Judged { check, points: max, verdict }: Judged) -> Line {
        let (status, points, message) = match verdict {
            Verdict::Passed => ("passed", max, check.asserts.to_owned()),
            Verdict::Failed { expected, shown } => {
                let read = check.read;
                ("failed", 0, format!("expected: {expected}\nshown: {shown}\nread: {read}"))
            }
            Verdict::Unsupported { reason } => ("unsupported", 0, reason),
            Verdict::Error { reason } => ("error", 0, reason),
        };
        Line { name: check.name, status, points, max, message }
    }
}

impl Line {
    fn print(&self, out: &mut impl Write, colour: bool) -> io::Result<()> {
        let (mark, code) = match self.status {
            "passed" => ("ok", 32),
            "failed" => ("FAILED", 31),
            "unsupported" => ("not judged here", 33),
            _ => ("ERROR", 31),
        };
        let mark = if colour { format!("\x1b[{code}m{mark}\x1b[0m") } else { mark.to_owned() };
        writeln!(out, "{:3}/{:<3} {}  {mark}", self.points, self.max, self.name)?;
        if self.status != "passed" {
            for text in self.message.lines() {
                writeln!(out, "          {text}")?;
            }
        }
        Ok(())
    }
}
