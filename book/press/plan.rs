//! The plan of the book: the summary lists every page, and the chapters are the steps.
//!
//! A step's folder, its binary, its chapter and its snapshot bear one name, such as
//! `03-pivot-root`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::exercise::Step;

/// The files in `source` that hold the book's text, in the order of their names.
pub fn pages(source: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Ok(stems(source, ".md")?.iter().map(|name| source.join(name).with_extension("md")).collect())
}

/// The pages that lie in `source` but are not listed in its `SUMMARY.md`, and the other way round.
pub fn unlisted_pages(source: &Path) -> anyhow::Result<Vec<String>> {
    let summary = fs::read_to_string(source.join("SUMMARY.md")).context("read SUMMARY.md")?;
    let mut faults = Vec::new();
    let mut listed = BTreeSet::new();
    for line in summary.lines() {
        let link = line.trim_start_matches(['-', ' ']).strip_prefix('[');
        let link = link.and_then(|link| link.strip_suffix(')')?.split_once("]("));
        let Some((title, page)) = link else { continue };
        faults
            .extend(other_title(&source.join(page), title).map(|fault| format!("{page}: {fault}")));
        if !listed.insert(page.trim_end_matches(".md").to_owned()) {
            faults.push(format!("SUMMARY.md lists {page} twice"));
        }
    }
    let mut pages = stems(source, ".md")?;
    pages.remove("SUMMARY");
    let unlisted = pages.difference(&listed);
    faults.extend(unlisted.map(|page| format!("SUMMARY.md does not list {page}.md")));
    let missing = listed.difference(&pages);
    faults
        .extend(missing.map(|page| format!("there is no page {page}.md, which SUMMARY.md lists")));
    Ok(faults)
}

/// What the page has for its heading, if it is not `title`. Of a missing page something else is
/// told.
fn other_title(page: &Path, title: &str) -> Option<String> {
    let text = fs::read_to_string(page).ok()?;
    let heading = text.lines().next().unwrap_or_default();
    (heading != format!("# {title}")).then(|| format!("its heading is not '# {title}'"))
}

/// The chapters that do not say what the `step.toml` of their step says: title, and minutes.
pub fn misnamed(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for name in names(&root.join("steps"))? {
        let Step { title, minutes, .. } = Step::read(&root.join("steps").join(&name))?;
        let number = name.split('-').next().unwrap_or_default();
        let page = root.join("book/src").join(&name).with_extension("md");
        let heading = format!("{number} · {title}");
        let other = other_title(&page, &heading);
        faults.extend(other.map(|fault| format!("{name}.md: {fault}, as step.toml has it")));
        let text = fs::read_to_string(page).unwrap_or_default();
        if !text.contains(&format!("*About {minutes} minutes.")) {
            faults.push(format!(
                "{name}.md does not say 'About {minutes} minutes', as step.toml has it"
            ));
        }
    }
    Ok(faults)
}

/// The steps beneath `root` without a chapter, a binary of their name, or, once there are snapshots
/// at all, a snapshot; and the chapters and snapshots without a step.
pub fn strays(root: &Path) -> anyhow::Result<Vec<String>> {
    let steps = names(&root.join("steps"))?;
    let mut faults = Vec::new();
    for step in &steps {
        let manifest = fs::read_to_string(root.join("steps").join(step).join("Cargo.toml"))
            .with_context(|| format!("read the manifest of {step}"))?;
        if !manifest.contains(&format!("\nname = \"{step}\"\n")) {
            faults.push(format!("steps/{step} makes no binary called {step}"));
        }
        let title = step.split_once('-').map_or("", |(_, slug)| slug);
        if !manifest.contains(&format!("\nname = \"{title}\"\n")) {
            faults.push(format!("the package in steps/{step} is not called {title}"));
        }
    }

    let mut chapters = stems(&root.join("book/src"), ".md")?;
    chapters.retain(|name| name.starts_with(|c: char| c.is_ascii_digit()));
    faults.extend(
        steps
            .difference(&chapters)
            .map(|step| format!("step {step} has no chapter book/src/{step}.md")),
    );
    faults.extend(
        chapters
            .difference(&steps)
            .map(|page| format!("chapter {page}.md has no step steps/{page}")),
    );

    let snapshots = root.join("tests/snapshots");
    if snapshots.is_dir() {
        let snapshots = stems(&snapshots, ".snap")?;
        let of = |step: &str| snapshots.iter().any(|name| belongs(name, step));
        faults.extend(
            steps
                .iter()
                .filter(|step| !of(step))
                .map(|step| format!("step {step} has no snapshot")),
        );
        let stray = |name: &&String| !steps.iter().any(|step| belongs(name, step));
        faults.extend(
            snapshots.iter().filter(stray).map(|name| format!("snapshot {name}.snap has no step")),
        );
    }
    Ok(faults)
}

/// `03-pivot-root` itself, or one of its variants, such as `03-pivot-root.user`.
fn belongs(snapshot: &str, step: &str) -> bool {
    snapshot
        .strip_prefix(step)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
}

fn stems(folder: &Path, extension: &str) -> anyhow::Result<BTreeSet<String>> {
    Ok(names(folder)?
        .iter()
        .filter_map(|name| name.strip_suffix(extension))
        .map(String::from)
        .collect())
}

fn names(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
