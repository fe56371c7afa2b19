//! The view from inside of each step's container is the one that is written down.
//!
//! `tests/snapshots/NN-slug.snap` is the regression test, the specification and the listing in the
//! chapter. It is the same for root and for an ordinary user.

use std::process::Command;

use crate::binaries::{WORKSHOP, beside_others, can_judge, can_limit, reference};
use crate::reference::STEPS;

#[test]
fn the_view_of_every_step_is_as_written() {
    let _guard = beside_others();
    if !can_judge("the_view_of_every_step_is_as_written") {
        return;
    }
    let can_limit = can_limit("the_view_of_every_step_is_as_written, from 11-cgroup-cpu on");
    for step in STEPS.into_iter().filter(|step| can_limit || *step < "11") {
        insta::with_settings!({
            snapshot_path => "../../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(step, view(step, step, &[])) });
    }
}

#[test]
fn cooper_shows_the_view_of_the_last_step() {
    let _guard = beside_others();
    if !can_judge("cooper_shows_the_view_of_the_last_step") {
        return;
    }
    let last = STEPS[STEPS.len() - 1];
    assert_eq!(view(last, "cooper", &["--arg", "run"]), view(last, last, &[]));
}

fn view(step: &str, program: &str, more: &[&str]) -> String {
    let output = Command::new(WORKSHOP)
        .args(["view", "--step", step, "--bin"])
        .arg(reference(program))
        .args(more)
        .output()
        .expect("workshop runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a view is text")
}
