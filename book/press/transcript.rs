//! Transcripts: what a `console` block shows is what the sandbox printed.
//!
//! ````text
//! ```console
//! # echo $$ > /tmp/shell; cat /tmp/shell
//! [..]
//! # for word in one two; do
//! >     echo $word
//! > done
//! one
//! two
//! ```
//! ````
//!
//! A command follows `# `, for it runs as root in the sandbox; its further lines follow `> `. The
//! lines below it are its output, both streams as they came. For what differs from run to run,
//! `[..]` stands for any text within a line, and a line `...` for any number of lines. All blocks
//! of a page run in one shell, in their order, so a later one finds what an earlier one has done. A
//! command that starts a shell hands the next commands over to it, until `exit`.
//!
//! A block that begins with `console groups` needs control groups that can be limited. Where the
//! sandbox has none (it has if root makes it, or a user who has a delegated group) it is not run,
//! and that is said.

use std::ops::Range;

use anyhow::{Context, bail};

/// A command and the output that the page shows for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What is typed, several lines perhaps.
    pub command: String,
    /// The lines of the page, counted from 0, that hold the output.
    pub output: Range<usize>,
    /// Whether it can only be run where control groups can be made.
    pub needs_groups: bool,
}

/// Every exchange of a page, in order.
pub fn exchanges(page: &str) -> anyhow::Result<Vec<Exchange>> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut first = None;
    let mut needs_groups = false;
    for (number, line) in page.lines().enumerate() {
        let Some(first_of_block) = first else {
            needs_groups = line == "```console groups";
            first = (needs_groups || line == "```console").then_some(exchanges.len());
            continue;
        };
        let last = exchanges.get_mut(first_of_block..).and_then(<[Exchange]>::last_mut);
        let next = number + 1;
        if line == "```" {
            first = None;
        } else if let Some(command) = line.strip_prefix("# ") {
            let command = command.to_owned();
            exchanges.push(Exchange { command, output: next..next, needs_groups });
        } else {
            let last =
                last.with_context(|| format!("line {next}: a transcript begins with `# COMMAND`"))?;
            match line.strip_prefix("> ") {
                Some(more) if last.output.is_empty() => {
                    last.command = format!("{}\n{more}", last.command);
                    last.output = next..next;
                }
                _ => last.output.end = next,
            }
        }
    }
    if first.is_some() {
        bail!("a console block is never closed");
    }
    Ok(exchanges)
}

/// Whether the lines that a page shows describe the lines that came.
#[must_use]
pub fn matches(shown: &[&str], came: &[&str]) -> bool {
    match shown {
        [] => came.is_empty(),
        ["...", rest @ ..] => (0..=came.len()).any(|skipped| matches(rest, &came[skipped..])),
        [line, rest @ ..] => came
            .split_first()
            .is_some_and(|(first, more)| line_matches(line, first) && matches(rest, more)),
    }
}

fn line_matches(shown: &str, came: &str) -> bool {
    match shown.split_once("[..]") {
        None => shown == came,
        Some((before, after)) => came.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|&at| rest.is_char_boundary(at))
                .any(|at| line_matches(after, &rest[at..]))
        }),
    }
}

/// The page with the output that came in the place of what it showed, for each exchange that
/// differs. A shown line with a `[..]` stays where it still describes one that came.
#[must_use]
pub fn rewrite(page: &str, exchanges: &[Exchange], outputs: &[String]) -> String {
    let mut lines: Vec<&str> = page.lines().collect();
    for (exchange, output) in exchanges.iter().zip(outputs).rev() {
        let shown = lines[exchange.output.clone()].to_vec();
        let came: Vec<&str> = output.lines().collect();
        if !matches(&shown, &came) {
            let described = |line| shown.iter().copied().find(|shown| line_matches(shown, line));
            lines.splice(
                exchange.output.clone(),
                came.iter().map(|line| described(line).unwrap_or(line)),
            );
        }
    }
    lines.join("\n") + "\n"
}

/// One paragraph for each exchange whose output is not what the page shows.
#[must_use]
pub fn differences(page: &str, exchanges: &[Exchange], outputs: &[String]) -> Vec<String> {
    let lines: Vec<&str> = page.lines().collect();
    let mut differences = Vec::new();
    for (exchange, output) in exchanges.iter().zip(outputs) {
        let shown = &lines[exchange.output.clone()];
        let came: Vec<&str> = output.lines().collect();
        if !matches(shown, &came) {
            differences.push(format!(
                "line {}: # {}\n  the page shows:\n    {}\n  the sandbox printed:\n    {}",
                exchange.output.start,
                exchange.command.replace('\n', "\n> "),
                shown.join("\n    "),
                came.join("\n    "),
            ));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::{differences, exchanges, matches, rewrite};

    const PAGE: &str = "Text.\n\n```console\n# echo one\n> echo two\none\ntwo\n# true\n```\n\n```console\n# id\nuid=[..]\n```\n";

    #[test]
    fn a_page_has_exchanges() {
        let found = exchanges(PAGE).unwrap();
        let commands: Vec<&str> = found.iter().map(|each| each.command.as_str()).collect();
        assert_eq!(commands, ["echo one\necho two", "true", "id"]);
        assert_eq!(found[0].output, 5..7);
        assert_eq!(found[1].output, 8..8);
    }

    #[test]
    fn a_block_may_need_control_groups() {
        let page = "```console\n# one\n```\n```console groups\n# two\n```\n";
        let found = exchanges(page).unwrap();
        assert_eq!(found.iter().map(|each| each.needs_groups).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_block_that_does_not_begin_with_a_command_is_refused() {
        assert!(exchanges("```console\n# true\n```\n```console\noutput\n```\n").is_err());
        assert!(exchanges("```console\n$ true\n```\n").is_err());
        assert!(exchanges("```console\n# true\n").is_err());
    }

    #[test]
    fn placeholders_stand_for_what_varies() {
        assert!(matches(&["a", "...", "z"], &["a", "b", "c", "z"]));
        assert!(matches(&["a", "...", "z"], &["a", "z"]));
        assert!(matches(&["pid [..] of [..]!"], &["pid 17 of 4!"]));
        assert!(!matches(&["pid [..]"], &["uid 0"]));
        assert!(!matches(&["a"], &["a", "b"]));
        assert!(!matches(&["a", "b"], &["a"]));
        assert!(!matches(&[], &["a"]));
    }

    #[test]
    fn a_difference_names_the_command_and_both_outputs() {
        let outputs = ["one\ntwo\n", "surprise\n", "uid=0(root)\n"].map(String::from);
        let found = differences(PAGE, &exchanges(PAGE).unwrap(), &outputs);
        assert_eq!(
            found,
            ["line 8: # true\n  the page shows:\n    \n  the sandbox printed:\n    surprise"]
        );
    }

    #[test]
    fn a_rewritten_page_shows_what_came_and_keeps_its_placeholders() {
        let outputs = ["one\nthree\n", "surprise\n", "uid=0(root)\ngid=0\n"].map(String::from);
        let page = rewrite(PAGE, &exchanges(PAGE).unwrap(), &outputs);
        assert_eq!(
            page,
            "Text.\n\n```console\n# echo one\n> echo two\none\nthree\n# true\nsurprise\n```\n\n```console\n# id\nuid=[..]\ngid=0\n```\n"
        );
        assert_eq!(differences(&page, &exchanges(&page).unwrap(), &outputs), Vec::<String>::new());
    }
}
