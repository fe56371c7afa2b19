//! The report on one step: for people, and for programs.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::checks::Check;
use crate::colour::{BOLD, Colour, GREEN, RED, YELLOW};
use crate::judge::verdict::Verdict;

/// A check that was run.
pub struct Judged {
    /// Which one.
    pub check: &'static Check,
    /// What it is worth for this step.
    pub points: u32,
    /// How it ended.
    pub verdict: Verdict,
}

/// All that is known of one program after it was judged.
#[derive(Serialize, Deserialize)]
pub struct Report {
    /// The step's slug.
    pub step: String,
    score: u32,
    /// The points of the checks that could run here.
    max: u32,
    /// The checks, in their order.
    pub checks: Vec<Line>,
    /// The points of those that could not.
    unsupported_points: u32,
    /// What repeats the run; of no interest to who reads the score.
    #[serde(skip)]
    seed: u64,
}

/// What is said of one check.
#[derive(Serialize, Deserialize)]
pub struct Line {
    /// The check's.
    pub name: String,
    /// How it ended.
    pub status: Status,
    points: u32,
    max: u32,
    /// What it asserts if it passed, else why not.
    pub message: String,
}

/// How a check ended, in the report's words.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Passed,
    Failed,
    Error,
    Unsupported,
}

impl Report {
    /// Adds up the points.
    pub fn new(step: &str, seed: u64, judged: Vec<Judged>) -> Report {
        let checks: Vec<Line> = judged.into_iter().map(Line::from).collect();
        let here = |line: &&Line| line.status != Status::Unsupported;
        Report {
            step: step.to_owned(),
            score: checks.iter().map(|line| line.points).sum(),
            max: checks.iter().filter(here).map(|line| line.max).sum(),
            unsupported_points: checks.iter().filter(|line| !here(line)).map(|line| line.max).sum(),
            checks,
            seed,
        }
    }

    /// 0 when every point was reached, 1 when points were lost, 2 when it could not be judged.
    pub fn exit_status(&self, strict: bool) -> u8 {
        let any = |status| self.checks.iter().any(|line| line.status == status);
        if any(Status::Error) || self.max == 0 || (strict && any(Status::Unsupported)) {
            2
        } else {
            // A check that earns nothing can fail too.
            u8::from(any(Status::Failed))
        }
    }

    /// Writes the report as one JSON object.
    pub fn write_json(&self, out: &mut impl Write) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("write JSON")?;
        writeln!(out, "{text}").context("write to standard output")
    }

    /// Writes the report as text: a line for each check, with what was expected and shown where it
    /// failed; at the end the sum, and what could not be judged.
    pub fn write_text(&self, out: &mut impl Write, colour: Colour) -> Result<()> {
        let lines = self.checks.iter().try_for_each(|line| line.write(out, colour));
        lines
            .and_then(|()| self.write_sum(out, colour))
            .and_then(|()| self.write_unsupported(out, colour))
            .context("write to standard output")
    }

    fn write_sum(&self, out: &mut impl Write, colour: Colour) -> io::Result<()> {
        let Report { step, score, max, seed, .. } = self;
        let sum = colour.paint(&format!("{step}: {score} of {max} points"), BOLD);
        writeln!(out, "\n{sum} (--seed {seed} repeats this run)")
    }

    fn write_unsupported(&self, out: &mut impl Write, colour: Colour) -> io::Result<()> {
        let unsupported = |line: &&Line| line.status == Status::Unsupported;
        if self.unsupported_points > 0 {
            let head = format!("NOT JUDGED HERE: {} points", self.unsupported_points);
            writeln!(out, "\n{}", colour.paint(&head, YELLOW))?;
            for line in self.checks.iter().filter(unsupported) {
                writeln!(out, "  {} ({}): {}", line.name, line.max, line.message)?;
            }
            writeln!(out, "`cargo workshop doctor` says what this machine lacks.")?;
        }
        Ok(())
    }
}

impl From<Judged> for Line {
    fn from(Judged { check, points: max, verdict }: Judged) -> Line {
        let (status, points, message) = match verdict {
            Verdict::Passed => (Status::Passed, max, check.asserts.to_owned()),
            Verdict::Failed { expected, shown } => {
                let read = check.read;
                (Status::Failed, 0, format!("expected: {expected}\nshown: {shown}\nread: {read}"))
            }
            Verdict::Unsupported { reason } => (Status::Unsupported, 0, reason),
            Verdict::Error { reason } => (Status::Error, 0, reason),
        };
        Line { name: check.name.to_owned(), status, points, max, message }
    }
}

impl Line {
    fn write(&self, out: &mut impl Write, colour: Colour) -> io::Result<()> {
        let status = match self.status {
            Status::Passed => colour.paint("ok          ", GREEN),
            Status::Failed => colour.paint("FAILED      ", RED),
            Status::Error => colour.paint("ERROR       ", RED),
            Status::Unsupported => colour.paint("not judged  ", YELLOW),
        };
        writeln!(out, "{status}{:3} of {:2}  {}", self.points, self.max, self.name)?;
        if matches!(self.status, Status::Failed | Status::Error) {
            for text in self.message.lines() {
                writeln!(out, "            {text}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Judged, Report};
    use crate::checks;
    use crate::colour::Colour;
    use crate::judge::verdict::Verdict;

    fn report(verdicts: impl IntoIterator<Item = Verdict>) -> Report {
        let judged = checks::all().zip([10, 20, 30, 40]).zip(verdicts);
        let judged = judged.map(|((check, points), verdict)| Judged { check, points, verdict });
        Report::new("fork-exec", 7, judged.collect())
    }

    fn failed() -> Verdict {
        Verdict::Failed { expected: "a".into(), shown: "b".into() }
    }

    fn unsupported() -> Verdict {
        Verdict::Unsupported { reason: "no queues".into() }
    }

    fn error() -> Verdict {
        Verdict::Error { reason: "poll: EINVAL".into() }
    }

    fn text(report: &Report) -> String {
        let mut out = Vec::new();
        report.write_text(&mut out, Colour::NONE).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_has_the_agreed_shape() {
        let report = report([Verdict::Passed, failed(), unsupported(), error()]);
        let mut out = Vec::new();
        report.write_json(&mut out).unwrap();
        let check = |number: usize| checks::all().nth(number).unwrap();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&out).unwrap(),
            json!({
                "step": "fork-exec",
                "score": 10,
                "max": 70,
                "checks": [
                    { "name": check(0).name, "status": "passed", "points": 10, "max": 10,
                      "message": check(0).asserts },
                    { "name": check(1).name, "status": "failed", "points": 0, "max": 20,
                      "message": format!("expected: a\nshown: b\nread: {}", check(1).read) },
                    { "name": check(2).name, "status": "unsupported", "points": 0, "max": 30,
                      "message": "no queues" },
                    { "name": check(3).name, "status": "error", "points": 0, "max": 40,
                      "message": "poll: EINVAL" },
                ],
                "unsupported_points": 30,
            })
        );
    }

    #[test]
    fn what_is_unsupported_is_neither_passed_nor_lost_and_said_at_the_end() {
        let report = report([Verdict::Passed, unsupported()]);
        assert_eq!(report.exit_status(false), 0);
        assert_eq!(report.exit_status(true), 2, "strict");
        let text = text(&report);
        let (before, end) = text.split_once("NOT JUDGED HERE: 20 points").unwrap();
        assert!(before.contains("fork-exec: 10 of 10 points"), "{text}");
        assert!(end.contains("(20): no queues"), "{text}");
    }

    #[test]
    fn where_nothing_could_run_nothing_was_judged() {
        assert_eq!(report([unsupported()]).exit_status(false), 2);
        assert_eq!(report([]).exit_status(false), 2);
    }

    #[test]
    fn an_error_of_the_judge_is_no_failure_of_the_program() {
        let report = report([Verdict::Passed, failed(), error()]);
        assert_eq!(report.exit_status(false), 2);
        assert!(text(&report).contains("ERROR         0 of 30"), "{}", text(&report));
    }

    #[test]
    fn lost_points_are_1_and_all_points_are_0() {
        assert_eq!(report([Verdict::Passed, failed()]).exit_status(true), 1);
        assert_eq!(report([Verdict::Passed, Verdict::Passed]).exit_status(true), 0);
        let text = text(&report([failed()]));
        assert!(text.contains("            expected: a\n            shown: b\n"), "{text}");
        assert!(!text.contains("NOT JUDGED"), "{text}");
    }
}
