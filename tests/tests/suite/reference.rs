//! The reference programs reach every point, and each only those of its own step.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::binaries::{WORKSHOP, beside_others, can_judge, reference};

/// The steps, in their order.
pub const STEPS: [&str; 8] = [
    "00-fork-exec",
    "01-chroot",
    "02-mount-ns",
    "03-pivot-root",
    "04-uts-ns",
    "05-ipc-ns",
    "06-pid-ns",
    "08-user-ns",
];

/// Judges `program` as `step` and returns what `workshop grade` did.
pub fn grade(step: &str, program: &Path, more: &[&str]) -> Output {
    Command::new(WORKSHOP)
        .args(["grade", "--format", "json", "--step", step, "--bin"])
        .arg(program)
        .args(more)
        .output()
        .expect("workshop runs")
}

/// The report that `workshop grade` printed.
pub fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("no report: {error}; {}", String::from_utf8_lossy(&output.stderr))
    })
}

/// The names of the checks that did not pass, in the order of the report.
pub fn lost(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("a report has checks");
    let not_passed = checks.iter().filter(|check| check["status"] != "passed");
    not_passed.map(|check| check["name"].as_str().expect("a check has a name")).collect()
}

#[test]
fn every_step_gets_full_points() {
    let _guard = beside_others();
    if !can_judge("every_step_gets_full_points") {
        return;
    }
    for step in STEPS {
        let output = grade(step, &reference(step), &["--thorough"]);
        let report = report(&output);
        assert_eq!(lost(&report), [""; 0], "{step}: {report:#}");
        assert_eq!(report["score"], 100, "{step}: {report:#}");
        assert_eq!(output.status.code(), Some(0), "{step}");
    }
}

#[test]
fn the_program_of_the_step_before_fails() {
    let _guard = beside_others();
    if !can_judge("the_program_of_the_step_before_fails") {
        return;
    }
    for pair in STEPS.windows(2) {
        let output = grade(pair[1], &reference(pair[0]), &[]);
        let report = report(&output);
        assert!(report["score"].as_u64() < Some(50), "{} as {}: {report:#}", pair[0], pair[1]);
        assert_eq!(output.status.code(), Some(1), "{} as {}", pair[0], pair[1]);
    }
}
