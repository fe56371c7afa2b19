//! Directives: a page quotes the files that the tests run, it never repeats them.
//!
//! | a line of its own, outside of any code block | becomes |
//! |---|---|
//! | `{{#include FILE}}` | the whole file; of an SVG the drawing, of a snapshot all but insta's header |
//! | `{{#item FILE NAME...}}` | the items of a Rust file that bear these names |
//! | `{{#diff FILE FILE}}` | what changes from the first file to the second |
//! | `{{#exercises FOLDER}}` | the exercises of the step in this folder, with their hints |
//!
//! Paths start at the root of the clone. There are no line numbers, which drift without a word, and
//! no anchors, which would put tags into sources that a learner reads. Whatever does not resolve to
//! something is an error; mdBook's own `{{#include}}`, whose place this takes, prints it as it
//! stands.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use similar::TextDiff;

use crate::exercise::Step;
use crate::item::item;

/// Code blocks that a page may hold itself. Others would be copies, so they have to be quoted.
const OWN_BLOCKS: [&str; 5] = ["console", "console groups", "sh", "c", "text"];

/// The page with every directive replaced by what it quotes from the files beneath `root`.
pub fn expand(root: &Path, page: &str) -> anyhow::Result<String> {
    let mut expanded = String::new();
    let mut fence = None;
    for (number, line) in (1..).zip(page.lines()) {
        let text = if line.contains("{{#") {
            ensure!(fence.is_none(), "line {number}: a directive makes its own code block");
            quote(root, line.trim()).with_context(|| format!("line {number}: {}", line.trim()))?
        } else {
            fence = next_fence(fence, line).with_context(|| format!("line {number}: {line}"))?;
            line.to_owned()
        };
        expanded.push_str(&text);
        expanded.push('\n');
    }
    ensure!(fence.is_none(), "a code block is never closed");
    Ok(expanded)
}

/// The fence that is open after `line`: its backticks.
fn next_fence<'a>(open: Option<&'a str>, line: &'a str) -> anyhow::Result<Option<&'a str>> {
    let language = line.trim_start().trim_start_matches('`');
    let ticks = line.trim_start().strip_suffix(language).unwrap_or_default();
    match open {
        Some(fence) if ticks == fence && language.trim().is_empty() => Ok(None),
        None if ticks.len() >= 3 => {
            ensure!(
                OWN_BLOCKS.contains(&language),
                "a code block in a page is one of {OWN_BLOCKS:?}; quote everything else from a tested file"
            );
            Ok(Some(ticks))
        }
        _ => Ok(open),
    }
}

fn quote(root: &Path, directive: &str) -> anyhow::Result<String> {
    let words = directive
        .strip_prefix("{{#")
        .and_then(|rest| rest.strip_suffix("}}"))
        .context("a directive stands on a line of its own")?;
    match words.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["include", file] if extension(file) == "svg" => drawing(&read(root, file)?),
        ["include", file] => Ok(listing(file, extension(file), &read(root, file)?)),
        ["item", file, names @ ..] if !names.is_empty() => {
            let source = read(root, file)?;
            let items = names.iter().map(|name| item(&source, name));
            let items =
                items.collect::<anyhow::Result<Vec<_>>>().with_context(|| (*file).to_owned())?;
            Ok(listing(file, extension(file), &items.join("\n\n")))
        }
        ["diff", old, new] => {
            let diff = diff(&read(root, old)?, &read(root, new)?);
            ensure!(!diff.is_empty(), "the two files are the same");
            Ok(listing(&format!("{old} → {new}"), "diff", &diff))
        }
        ["exercises", step] => Ok(Step::read(&root.join(step))?.exercises(step)),
        _ => bail!("there is no such directive: see the head of book/press/quote.rs"),
    }
}

fn read(root: &Path, file: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(root.join(file)).with_context(|| format!("read {file}"))?;
    let text = if extension(file) == "snap" { without_header(&text)? } else { &text };
    ensure!(!text.trim().is_empty(), "{file} is empty");
    Ok(text.to_owned())
}

fn extension(file: &str) -> &str {
    file.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// insta writes what it needs for itself above the second line of dashes.
fn without_header(snapshot: &str) -> anyhow::Result<&str> {
    let body = snapshot.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    Ok(body.context("a snapshot without insta's header")?.1)
}

/// Only the lines that changed, with three of their neighbours, and without the line numbers.
fn diff(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut text = String::new();
    for hunk in diff.unified_diff().iter_hunks() {
        if !text.is_empty() {
            text.push_str(" …\n");
        }
        for change in hunk.iter_changes() {
            write!(text, "{}{change}", change.tag()).expect("a string takes everything");
        }
    }
    text
}

/// A code block under the name of the file that it comes from.
fn listing(caption: &str, language: &str, text: &str) -> String {
    let language = match language {
        "rs" => "rust",
        "snap" => "text",
        other => other,
    };
    // Documentation comments have code blocks of their own; ours must be fenced by more.
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(3.max(longest + 1));
    let text = text.trim_end();
    format!(
        "<figure class=\"listing\">\n<figcaption>{caption}</figcaption>\n\n\
         {fence}{language}\n{text}\n{fence}\n\n</figure>"
    )
}

/// The drawing becomes part of the page, so that it takes on the colours of the reader's theme.
fn drawing(svg: &str) -> anyhow::Result<String> {
    let start = svg.find("<svg").context("no <svg> in it")?;
    ensure!(
        svg.contains("<title") && svg.contains("role=\"img\""),
        "an SVG needs role=\"img\" and a <title>"
    );
    // An empty line would end the HTML block in the middle of the drawing.
    let lines: Vec<&str> = svg[start..].lines().filter(|line| !line.trim().is_empty()).collect();
    Ok(format!("<figure class=\"drawing\">\n{}\n</figure>\n", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::expand;
    use std::fs;

    const STEP: &str = r#"
title = "A"
minutes = 5
[[exercise]]
file = "src/lib.rs"
functions = ["a", "b"]
task = "Write them."
hints = ["Read.", "Type."]
"#;

    fn try_expand(page: &str) -> anyhow::Result<String> {
        let root = tempfile::tempdir()?;
        fs::write(root.path().join("a.rs"), "/// A.\nfn a() {}\n\nfn b() {}\n")?;
        fs::write(root.path().join("b.rs"), "/// A.\nfn a() {}\n\nfn c() {}\n")?;
        fs::write(root.path().join("view.snap"), "---\nsource: x\n---\nroot  own\n")?;
        fs::write(root.path().join("empty.snap"), "---\nsource: x\n---\n\n")?;
        fs::write(root.path().join("untitled.svg"), "<svg role=\"img\"/>")?;
        fs::write(root.path().join("empty.rs"), "\n")?;
        fs::write(root.path().join("step.toml"), STEP)?;
        expand(root.path(), page)
    }

    fn expands_to(directive: &str) -> String {
        try_expand(directive).unwrap()
    }

    fn refused(page: &str) -> String {
        format!("{:#}", try_expand(page).unwrap_err())
    }

    #[test]
    fn a_listing_bears_the_name_of_its_file() {
        let page = expands_to("{{#item a.rs b}}");
        assert!(
            page.contains("<figcaption>a.rs</figcaption>\n\n```rust\nfn b() {}\n```"),
            "{page}"
        );
        assert!(expands_to("{{#item a.rs b a}}").contains("fn b() {}\n\n/// A.\nfn a() {}\n"));
        assert!(expands_to("{{#include a.rs}}").contains("fn a() {}\n\nfn b() {}\n"));
    }

    #[test]
    fn a_diff_shows_what_changed() {
        assert!(
            expands_to("{{#diff a.rs b.rs}}")
                .contains("```diff\n /// A.\n fn a() {}\n \n-fn b() {}\n+fn c() {}\n")
        );
    }

    #[test]
    fn a_snapshot_loses_the_header_of_insta() {
        assert!(expands_to("{{#include view.snap}}").contains("```text\nroot  own\n```"));
    }

    #[test]
    fn exercises_come_with_their_hints() {
        let page = expands_to("{{#exercises .}}");
        assert!(
            page.starts_with("**`a` and `b`** in `./src/lib.rs`. Write them.\n\n<details>"),
            "{page}"
        );
        assert!(page.contains("<summary>Hint 2 of 2</summary>\n\nType.\n\n</details>"), "{page}");
    }

    #[test]
    fn what_resolves_to_nothing_is_an_error() {
        assert!(
            refused("\n{{#include none.rs}}")
                .starts_with("line 2: {{#include none.rs}}: read none.rs")
        );
        for page in [
            "{{#include empty.rs}}",
            "{{#include empty.snap}}",
            "{{#include a.rs:2:3}}",
            "{{#include a.rs:anchor}}",
            "{{#include untitled.svg}}",
            "{{#item a.rs none}}",
            "{{#item a.rs}}",
            "{{#diff a.rs a.rs}}",
            "{{#playground a.rs}}",
            "{{#exercises none}}",
            "{{#include a.rs",
        ] {
            assert!(refused(page).starts_with("line 1"), "{page}");
        }
    }

    #[test]
    fn a_directive_stands_alone_and_outside_of_code() {
        assert!(refused("see {{#include a.rs}}").contains("on a line of its own"));
        assert!(refused("```text\n{{#include a.rs}}\n```").contains("makes its own code block"));
    }

    #[test]
    fn code_that_is_not_quoted_is_refused() {
        assert!(refused("```rust\nfn a() {}\n```").contains("from a tested file"));
        assert!(refused("```\nplain\n```").contains("from a tested file"));
        assert!(refused("```text\nno end").contains("never closed"));
        assert!(expands_to("````text\n```\n````\n{{#item a.rs b}}").contains("fn b"));
    }
}
