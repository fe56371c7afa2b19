//! What the pages show is what the sandbox prints.

use std::fs;
use std::io::{self, Write};
use std::process::Command;

use book::transcript::{differences, exchanges};
use book::{plan, root, shell, source};

#[test]
fn every_transcript_is_what_the_sandbox_prints() {
    shell::build_programs(root()).unwrap();
    if let Some(reason) = shell::no_sandbox().unwrap() {
        // Past the test harness, which keeps what a test prints to itself: not passed, and said so.
        let test = "every_transcript_is_what_the_sandbox_prints";
        let _ = writeln!(io::stderr(), "unsupported: {test}: {reason}");
        return;
    }
    let has_groups = shell::has_groups().unwrap();
    let mut differ = Vec::new();
    for page in plan::pages(&source()).unwrap() {
        let name = page.file_name().unwrap().display().to_string();
        let text = fs::read_to_string(&page).unwrap();
        let mut exchanges = exchanges(&text).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let all = exchanges.len();
        exchanges.retain(|each| has_groups || !each.needs_groups);
        if exchanges.len() < all {
            let left_out = all - exchanges.len();
            let reason = "this user can make no control groups in the sandbox";
            let _ = writeln!(io::stderr(), "unsupported: {left_out} commands of {name}: {reason}");
        }
        if exchanges.is_empty() {
            continue;
        }
        match shell::run(shell::sandbox(root()).unwrap(), &exchanges) {
            Ok(outputs) => differ.extend(
                differences(&text, &exchanges, &outputs)
                    .iter()
                    .map(|each| format!("{name}: {each}")),
            ),
            Err(error) => differ.push(format!("{name}: {error:#}")),
        }
    }
    assert!(
        differ.is_empty(),
        "
{}

`cargo book test --bless` writes what was printed into the pages",
        differ.join(
            "

"
        )
    );
}

/// Runs a page in a plain shell: what is tried here is the runner, which takes any.
fn run(page: &str) -> anyhow::Result<Vec<String>> {
    shell::run(Command::new("sh"), &exchanges(page)?)
}

#[test]
fn commands_share_a_shell_and_what_they_print_is_told_apart() {
    let page = "```console\n# cd /; X=1\n# echo $PWD $X; echo no >&2\n# printf end\n# false\n# echo $?\n# for x in a b; do\n> echo $x\n> done\n```\n";
    assert_eq!(run(page).unwrap(), ["", "/ 1\nno\n", "end", "", "1\n", "a\nb\n"]);
}

#[test]
fn a_shell_in_the_shell_takes_the_commands_until_it_exits() {
    let page = "```console\n# X=outer\n# sh\n# X=inner\n# echo $X\n# exit\n# echo $X\n```\n";
    assert_eq!(run(page).unwrap(), ["", "", "", "inner\n", "", "outer\n"]);
}

#[test]
fn an_output_that_is_not_as_shown_is_a_difference() {
    let page = "```console\n# echo shown\ncame\n```\n";
    let found = differences(page, &exchanges(page).unwrap(), &run(page).unwrap());
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("# echo shown"), "{}", found[0]);
}

#[test]
fn a_shell_that_ends_is_an_error_with_what_it_printed() {
    let error = format!("{:#}", run("```console\n# echo last; exit\n```\n").unwrap_err());
    assert!(error.starts_with("# echo last; exit"), "{error}");
    assert!(error.ends_with("last\n"), "{error}");
}
