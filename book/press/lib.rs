//! The press: builds the book with mdBook's own libraries, and holds it to its sources.
//!
//! The text lies in `book/src`, one Markdown file a page. Nothing in it is typed twice. Listings,
//! snapshots and the diffs between steps are quoted from the files that the tests run, and a
//! transcript is what the sandbox printed:
//!
//! | module | is about |
//! |---|---|
//! | [`quote`] | `{{#include …}}` and its kin, expanded before mdBook sees the page |
//! | [`exercise`] | what a step's `step.toml` says of it |
//! | [`item`] | the lines of one item of a Rust file |
//! | [`print`](mod@print) | mdBook's run over the pages; whatever it only warns of is an error here |
//! | [`plan`] | the summary, the pages and the steps: nothing without its counterpart |
//! | [`html`] | the tags of a rendered page |
//! | [`pages`] | the rendered book: every link has a target, and nothing is fetched from another host |
//! | [`transcript`] | what a `console` block expects, compared with what came, and rewritten to it |
//! | [`shell`] | a shell in the sandbox, which runs the commands of one page in their order |
//!
//! `book/README.md` says how to write a page.

use std::path::{Path, PathBuf};

pub mod exercise;
pub mod html;
pub mod item;
pub mod pages;
pub mod plan;
pub mod print;
pub mod quote;
pub mod shell;
pub mod transcript;

/// The root of the clone. Every path that a page quotes starts here.
///
/// # Panics
/// Never: a package has a folder, and a folder of a clone is not `/`.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("book/ lies in the clone")
}

/// The folder of the pages.
#[must_use]
pub fn source() -> PathBuf {
    root().join("book/src")
}
