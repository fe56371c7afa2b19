//! The table of `workshop suite`: a row for each step, a column for each place; below it, what
//! failed and what could not be judged.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::Column;
use crate::report::{Line, Report, Status};
use crate::steps::Step;

/// All that was found.
pub struct Table<'c> {
    steps: &'c [&'static Step],
    columns: &'c [Column],
    seed: u64,
}

/// How many checks ended in which way. What the judge could not finish counts as failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    unsupported: usize,
}

impl<'c> Table<'c> {
    /// The table of these.
    pub fn new(steps: &'c [&'static Step], columns: &'c [Column], seed: u64) -> Table<'c> {
        Table { steps, columns, seed }
    }

    /// 0 when no check failed, 1 when one did, 2 when the judge did; with `strict` also when a
    /// check could not be run.
    pub fn exit_status(&self, strict: bool) -> u8 {
        let any = |status| self.lines().any(|(_, _, line)| line.status == status);
        let no_machine = self.columns.iter().any(|column| column.unsupported.is_some());
        let no_report = self.columns.iter().any(|column| column.error.is_some());
        let unsupported = no_machine || any(Status::Unsupported);
        if no_report || any(Status::Error) || (strict && unsupported) {
            2
        } else {
            u8::from(any(Status::Failed))
        }
    }

    /// Every check that was judged: where, as which step, and how.
    fn lines(&self) -> impl Iterator<Item = (&'c Column, &'c Report, &'c Line)> {
        let reports = |column: &'c Column| column.reports.iter().map(move |it| (column, it));
        let lines = |(column, report): (&'c Column, &'c Report)| {
            report.checks.iter().map(move |line| (column, report, line))
        };
        self.columns.iter().flat_map(reports).flat_map(lines)
    }

    /// What was said of the checks that ended so: step, check and message once, and all the places.
    fn said(&self, statuses: &[Status]) -> BTreeMap<[&'c str; 3], Vec<&'c str>> {
        let mut said: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for (column, report, line) in self.lines() {
            if statuses.contains(&line.status) {
                let key = [report.step.as_str(), &line.name, &line.message];
                said.entry(key).or_default().push(&column.place);
            }
        }
        said
    }

    fn write_row(
        &self,
        f: &mut Formatter<'_>,
        name: &str,
        cell: impl Fn(&Column) -> String,
    ) -> fmt::Result {
        write!(f, "{name:<18}")?;
        for column in self.columns {
            write!(f, "{:>17}", cell(column))?;
        }
        writeln!(f)
    }
}

impl Count {
    /// Those of one step, or of all where none is named. `None` where nothing is known.
    fn of(column: &Column, step: Option<&Step>) -> Option<Count> {
        let fits = |report: &&Report| step.is_none_or(|step| report.step == step.slug);
        let mut reports = column.reports.iter().filter(fits).peekable();
        reports.peek()?;
        let mut count = Count::default();
        for line in reports.flat_map(|report| &report.checks) {
            match line.status {
                Status::Passed => count.passed += 1,
                Status::Failed | Status::Error => count.failed += 1,
                Status::Unsupported => count.unsupported += 1,
            }
        }
        Some(count)
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Count { passed, failed, unsupported } = self;
        write!(f, "{passed}{failed:>4}{unsupported:>4}")
    }
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cell = |column: &Column, step: Option<&Step>| {
            Count::of(column, step).map_or("-".to_owned(), |count| count.to_string())
        };
        writeln!(f, "Checks passed, failed and unsupported:\n")?;
        self.write_row(f, "", |column| column.place.clone())?;
        for step in self.steps {
            self.write_row(f, &step.name(), |column| cell(column, Some(step)))?;
        }
        self.write_row(f, "all", |column| cell(column, None))?;
        self.write_row(f, "seconds", |column| column.seconds.to_string())?;
        writeln!(f, "\n--seed {} repeats this run.", self.seed)?;

        for ([step, check, message], places) in self.said(&[Status::Failed, Status::Error]) {
            writeln!(f, "\nFAILED in {}: {step}: {check}", places.join(", "))?;
            for line in message.lines() {
                writeln!(f, "  {line}")?;
            }
        }
        for ([step, check, message], places) in self.said(&[Status::Unsupported]) {
            let places = places.join(", ");
            writeln!(f, "unsupported in {places}: {step}: {check}: {message}")?;
        }
        for Column { place, unsupported, error, .. } in self.columns {
            if let Some(reason) = unsupported {
                writeln!(f, "unsupported in {place}: all: {reason}")?;
            }
            if let Some(reason) = error {
                writeln!(f, "FAILED in {place}: all: {reason}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Column, Table};
    use crate::steps::STEPS;

    fn column(place: &str, statuses: &[&str]) -> Column {
        let checks: Vec<_> = statuses
            .iter()
            .map(|status| {
                let (name, message) = ("chroot/x", "m");
                json!({ "name": name, "status": status, "points": 0, "max": 1, "message": message })
            })
            .collect();
        let report = json!({
            "step": "chroot", "score": 0, "max": 0, "checks": checks, "unsupported_points": 0,
        });
        let reports = if statuses.is_empty() { json!([]) } else { json!([report]) };
        let column = json!({
            "place": place, "seconds": 7, "reports": reports, "unsupported": null, "error": null,
        });
        serde_json::from_value(column).unwrap()
    }

    fn of(columns: &[Column]) -> (String, u8, u8) {
        let steps = [&STEPS[1]];
        let table = Table::new(&steps, columns, 3);
        (table.to_string(), table.exit_status(false), table.exit_status(true))
    }

    #[test]
    fn each_place_has_its_three_numbers_and_each_reason_is_said_once() {
        let columns = [
            column("native", &["passed", "unsupported"]),
            column("v2", &["passed", "passed"]),
            column("v1", &["failed", "unsupported"]),
        ];
        let (text, status, _) = of(&columns);
        let numbers = "01-chroot                 1   0   1        2   0   0        0   1   1\n";
        assert!(text.contains(numbers), "{text}");
        assert!(text.contains("FAILED in v1: chroot: chroot/x\n  m\n"), "{text}");
        assert!(text.contains("unsupported in native, v1: chroot: chroot/x: m\n"), "{text}");
        assert_eq!(status, 1);
    }

    #[test]
    fn a_machine_that_cannot_be_had_is_unsupported_and_one_that_died_is_an_error() {
        let passed = || column("native", &["passed"]);
        let missing = Column { unsupported: Some("no apt".into()), ..column("v2", &[]) };
        let (text, status, strict) = of(&[passed(), missing]);
        assert!(text.contains("01-chroot                 1   0   0                -\n"), "{text}");
        assert!(text.contains("unsupported in v2: all: no apt\n"), "{text}");
        assert_eq!((status, strict), (0, 2));

        let died = Column { error: Some("no report".into()), ..column("v2", &[]) };
        let (text, status, _) = of(&[passed(), died]);
        assert!(text.contains("FAILED in v2: all: no report\n"), "{text}");
        assert_eq!(status, 2);
        assert_eq!(of(&[column("v2", &["error"])]).1, 2);
    }
}
