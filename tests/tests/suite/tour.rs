//! The tour runs to its end, and the matrix that the book and the README show is what it measures.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::binaries::{WORKSHOP, beside_others, can_judge, can_limit, clone, reference};

#[test]
fn the_tour_measures_the_matrix_that_the_book_shows() {
    let _guard = beside_others();
    if !can_judge("the_tour_measures_the_matrix_that_the_book_shows") {
        return;
    }
    reference("cooper");
    let out = TempDir::new().expect("a temporary directory");
    let output = Command::new(WORKSHOP)
        .args(["tour", "--out"])
        .arg(out.path())
        // The programs are there: nothing is to be built again.
        .env_remove("CARGO")
        .output()
        .expect("workshop runs");
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    for part in
        ["03-pivot-root: The host's root leaves", "> root directory", "cooper run --userns "]
    {
        assert!(text.contains(part), "the tour does not show {part:?}: {text}");
    }
    if !can_limit("the matrix that the tour measures") {
        return;
    }
    for file in ["isolation-matrix.svg", "isolation-matrix.txt"] {
        let measured = fs::read_to_string(out.path().join(file)).expect("the tour writes it");
        let path = clone().join("book/src/images").join(file);
        let shown = fs::read_to_string(&path).expect("the book has it");
        assert_eq!(
            shown,
            measured,
            "{} is not what the tour measures; `cargo tour --out book/src/images` writes it anew",
            path.display()
        );
    }
}
