//! The limits are plotted, and the book's pictures are of the kind that is drawn today.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::binaries::{WORKSHOP, beside_others, can_judge, clone, reference, say_unsupported};

const PICTURES: [&str; 3] = ["limit-cpu.svg", "limit-memory.svg", "limit-pids.svg"];

#[test]
fn every_limit_is_measured_and_drawn() {
    let name = "every_limit_is_measured_and_drawn";
    let _guard = beside_others();
    if !can_judge(name) {
        return;
    }
    let out = TempDir::new().expect("a temporary directory");
    let output = plot(out.path());
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(2) && errors.contains("no control group can be made here") {
        assert_eq!(errors.lines().count(), 1, "{errors}");
        return say_unsupported(name, errors.trim());
    }
    assert!(output.status.success(), "{errors}");

    // On a busy machine the loop gets less than its limit, and never more.
    let used = number_after(&text, "--cpus 0.2: ");
    assert!((0.1..22.0).contains(&used), "the endless loop used {used} %");
    assert!(text.contains("processes killed: 1; exit status 137"), "{text}");
    assert!(text.contains("at most 16 processes"), "{text}");
    assert!(number_after(&text, "forks refused: ") > 0.0, "{text}");
    for picture in PICTURES {
        let drawn = fs::read_to_string(out.path().join(picture)).expect("plot writes it");
        let shown = clone().join("book/src/images").join(picture);
        let shown = fs::read_to_string(&shown).expect("the book has it");
        assert_eq!(
            without_measurements(&shown),
            without_measurements(&drawn),
            "{picture} is drawn otherwise today; `cargo workshop plot --out book/src/images` \
             measures and draws it anew"
        );
    }
}

fn plot(out: &Path) -> Output {
    reference("cooper");
    let mut plot = Command::new(WORKSHOP);
    // The programs are there: nothing is to be built again.
    plot.args(["plot", "--out"]).arg(out).env_remove("CARGO");
    plot.output().expect("workshop runs")
}

/// The first number that follows these words.
fn number_after(text: &str, words: &str) -> f64 {
    let (_, rest) = text.split_once(words).unwrap_or_else(|| panic!("{words:?} is not in {text}"));
    let end = rest.find(|char: char| !(char.is_ascii_digit() || char == '.')).unwrap_or(rest.len());
    rest[..end].parse().unwrap_or_else(|_| panic!("no number follows {words:?} in {text}"))
}

/// The lines of a picture, each once, without their numbers: axes may be of another length.
fn without_measurements(svg: &str) -> BTreeSet<String> {
    let is_number = |char: char| char.is_ascii_digit() || " .,-".contains(char);
    svg.lines().map(|line| line.replace(is_number, "")).collect()
}
