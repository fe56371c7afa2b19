//! The reference programs reach every point, and each only those of its own step.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::at_once::at_once;
use crate::binaries::{WORKSHOP, beside_others, can_judge, reference, say_unsupported};

/// The steps, in their order.
pub const STEPS: [&str; 16] = [
    "00-fork-exec",
    "01-chroot",
    "02-mount-ns",
    "03-pivot-root",
    "04-uts-ns",
    "05-ipc-ns",
    "06-pid-ns",
    "07-net-ns",
    "08-user-ns",
    "09-time-ns",
    "10-cgroup-ns",
    "11-cgroup-cpu",
    "12-cgroup-memory",
    "13-cgroup-pids-io",
    "14-overlay",
    "15-image",
];

/// Judges a program of which no check may run out of time: so a few checks at a time, and three times as
/// long as elsewhere for what should happen at once.
pub fn grade_patiently(step: &str, program: &Path, more: &[&str]) -> Output {
    let mut command = command(step, program);
    command.args(["--jobs", "2"]).args(more).env("COOPERAGE_PATIENCE", "3");
    command.output().expect("workshop runs")
}

/// Judges `program` as `step` and returns what `workshop grade` did.
pub fn grade(step: &str, program: &Path, more: &[&str]) -> Output {
    command(step, program).args(more).output().expect("workshop runs")
}

fn command(step: &str, program: &Path) -> Command {
    let mut command = Command::new(WORKSHOP);
    command.args(["grade", "--format", "json", "--step", step, "--bin"]).arg(program);
    // Where the environment asks for backtraces every error takes one, also those that are expected:
    // a tenth of all the time.
    command.env("RUST_LIB_BACKTRACE", "0");
    command
}

/// The report that `workshop grade` printed.
pub fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("no report: {error}; {}", String::from_utf8_lossy(&output.stderr))
    })
}

/// The names of the checks that failed, or that the judge could not finish.
pub fn lost(report: &Value) -> Vec<&str> {
    let judged = checks(report).filter(|check| check["status"] != "unsupported");
    judged.filter(|check| check["status"] != "passed").map(name).collect()
}

/// The names of the checks that this machine, or this user, cannot run.
pub fn unsupported(report: &Value) -> Vec<&str> {
    checks(report).filter(|check| check["status"] == "unsupported").map(name).collect()
}

fn checks(report: &Value) -> impl Iterator<Item = &Value> {
    report["checks"].as_array().expect("a report has checks").iter()
}

fn name(check: &Value) -> &str {
    check["name"].as_str().expect("a check has a name")
}

#[test]
fn every_step_gets_full_points() {
    let _guard = beside_others();
    if !can_judge("every_step_gets_full_points") {
        return;
    }
    at_once(&STEPS, |step| {
        let output = grade_patiently(step, &reference(step), &["--thorough"]);
        let report = report(&output);
        assert_eq!(lost(&report), [""; 0], "{step}: {report:#}");
        for check in checks(&report).filter(|check| check["status"] == "unsupported") {
            say_unsupported(name(check), check["message"].as_str().unwrap_or_default());
        }
        assert_eq!(report["score"], report["max"], "{step}: {report:#}");
        assert_eq!(output.status.code(), Some(0), "{step}");
    });
}

#[test]
fn the_program_of_the_step_before_fails() {
    let _guard = beside_others();
    if !can_judge("the_program_of_the_step_before_fails") {
        return;
    }
    let pairs: Vec<&[&str]> = STEPS.windows(2).collect();
    at_once(&pairs, |pair| {
        let output = grade(pair[1], &reference(pair[0]), &[]);
        let report = report(&output);
        assert!(report["score"].as_u64() < Some(50), "{} as {}: {report:#}", pair[0], pair[1]);
        assert_eq!(output.status.code(), Some(1), "{} as {}", pair[0], pair[1]);
    });
}
