//! Mutants: each is the reference with one realistic mistake, and must lose just the checks that this
//! mistake breaks.
//!
//! They are data: `tests/mutants/STEP/NAME.toml` says what the mistake is, which lines of the reference
//! it replaces, and which checks must fail. A mutant whose lines are no longer in the reference fails
//! the test, so the catalogue cannot drift from the code.

mod workspace;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nix::unistd::geteuid;
use serde::Deserialize;
use serde_json::Value;

use crate::at_once::at_once;
use crate::binaries::{beside_others, can_judge, clone, say_unsupported};
use crate::reference::{STEPS, grade, grade_patiently, lost, report, unsupported};

/// The checks draw numbers from this, so that every run of the test is the same.
const SEED: &str = "1";

/// The reference with one mistake.
pub struct Mutant {
    /// The step that it belongs to: `03-pivot-root`.
    pub step: String,
    /// What the mistake is called: `forgot-chdir`.
    pub name: String,
    pub change: Change,
}

/// The contents of a mutant's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The mistake in one sentence, for readers.
    pub mistake: String,
    /// The file that has it, from the top of the clone.
    pub file: PathBuf,
    /// What stands there in the reference, exactly once.
    pub old: String,
    /// What stands there in the mutant.
    pub new: String,
    /// The checks that must fail; all others must pass.
    pub fails: BTreeSet<String>,
    /// The same where an ordinary user is the judge, if that changes what the mistake breaks.
    pub fails_for_a_user: Option<BTreeSet<String>>,
}

impl Mutant {
    /// The name of the package and of the program.
    pub fn program(&self) -> String {
        format!("mutant-{}-{}", self.step, self.name)
    }

    /// The file with the mistake in it.
    pub fn text(&self) -> String {
        let Change { file, old, new, .. } = &self.change;
        let text = fs::read_to_string(clone().join(file)).expect("the file of a mutant is there");
        let places = text.matches(old).count();
        let name = self.program();
        assert_eq!(places, 1, "{name}: its lines are {places} times in {}", file.display());
        text.replace(old, new)
    }
}

/// All mutants, sorted.
fn catalogue() -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for step in STEPS {
        let folder = clone().join("tests/mutants").join(step);
        for entry in fs::read_dir(folder).expect("every step has mutants") {
            let path = entry.expect("read a directory").path();
            let text = fs::read_to_string(&path).expect("read a mutant");
            let change: Change =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            assert!(!change.mistake.is_empty(), "{name} says what its mistake is");
            assert!(!change.fails.is_empty(), "{name} says which checks it fails");
            mutants.push(Mutant { step: step.to_owned(), name, change });
        }
    }
    mutants.sort_by_key(Mutant::program);
    mutants
}

#[test]
fn every_mutant_loses_just_what_its_mistake_breaks() {
    let _guard = beside_others();
    if !can_judge("every_mutant_loses_just_what_its_mistake_breaks") {
        return;
    }
    let mut mutants = catalogue();
    // For whoever works at one step.
    if let Ok(step) = std::env::var("COOPERAGE_MUTANTS") {
        mutants.retain(|mutant| mutant.step == step);
    }
    let programs = workspace::build(&mutants);
    let differing = at_once(&mutants, |mutant| {
        let output = grade(&mutant.step, &programs.join(mutant.program()), &["--seed", SEED]);
        difference(mutant, &report(&output)).map(|_| mutant)
    });
    // Beside so many others a program may run out of time. What counts is what it does alone.
    let wrong: Vec<String> = differing
        .into_iter()
        .flatten()
        .filter_map(|mutant| {
            let program = programs.join(mutant.program());
            difference(mutant, &report(&grade_patiently(&mutant.step, &program, &["--seed", SEED])))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Which checks a mutant broke beyond its list, and which it should have broken; `None` if it lost
/// just what it is meant to.
fn difference(mutant: &Mutant, report: &Value) -> Option<String> {
    let fails: BTreeSet<String> = lost(report).into_iter().map(str::to_owned).collect();
    let of_users = mutant.change.fails_for_a_user.as_ref().filter(|_| !geteuid().is_root());
    let mut due = of_users.unwrap_or(&mutant.change.fails).clone();
    due.retain(|check| !unsupported(report).contains(&check.as_str()));
    if due.is_empty() {
        say_unsupported(&mutant.program(), "no check that it fails can run here");
    }
    let more: Vec<_> = fails.difference(&due).collect();
    let fewer: Vec<_> = due.difference(&fails).collect();
    (fails != due).then(|| {
        format!(
            "{}\n  fails beyond its list: {more:?}\n  passes against its list: {fewer:?}",
            mutant.program()
        )
    })
}

#[test]
fn every_check_is_failed_by_some_mutant() {
    let _guard = beside_others();
    if !can_judge("every_check_is_failed_by_some_mutant") {
        return;
    }
    let caught: BTreeSet<String> =
        catalogue().into_iter().flat_map(|mutant| mutant.change.fails).collect();
    // What a program that does nothing at all loses is everything.
    let judged = at_once(&STEPS, |step| {
        let output = grade(step, "/bin/true".as_ref(), &[]);
        lost(&report(&output)).into_iter().map(str::to_owned).collect::<Vec<_>>()
    });
    let all: BTreeSet<String> = judged.into_iter().flatten().collect();
    let blind: Vec<_> = all.difference(&caught).collect();
    assert!(blind.is_empty(), "no mutant shows that these can fail: {blind:?}");
}
