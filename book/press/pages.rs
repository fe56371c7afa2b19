//! The rendered book: every link has a target, and a reader without a network misses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;

use crate::html::{Tag, tags};

/// What is wrong with the pages in the folder `book`, one line each.
pub fn faults(book: &Path) -> anyhow::Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    let mut faults = Vec::new();
    for file in files(book)? {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("html") => {
                pages.insert(file.clone(), read(book, &file)?);
            }
            Some("css") => {
                let style = read(book, &file)?;
                faults.extend(foreign_styles(&style).map(|line| at(&file, line)));
            }
            _ => {}
        }
    }

    let ids: BTreeMap<&Path, BTreeSet<&str>> =
        pages.iter().map(|(file, page)| (file.as_path(), ids(page).collect())).collect();
    for (file, page) in &pages {
        if ids[file.as_path()].len() < ids_with_repetitions(page) {
            faults.push(at(file, "two elements have the same id"));
        }
        if page.contains("{{#") {
            faults.push(at(file, "a directive was not expanded"));
        }
        for tag in tags(page) {
            let fault = ["href", "src", "data", "poster", "action"]
                .iter()
                .filter_map(|name| tag.get(name))
                .find_map(|target| fault(book, &ids, file, &tag, target));
            faults.extend(fault.map(|fault| at(file, fault)));
        }
    }
    Ok(faults)
}

/// What is wrong with one link of a page.
fn fault(
    book: &Path,
    ids: &BTreeMap<&Path, BTreeSet<&str>>,
    page: &Path,
    tag: &Tag<'_>,
    target: &str,
) -> Option<String> {
    if target.starts_with("data:") {
        return None;
    }
    if target.contains("://") || target.starts_with("//") {
        return match tag.name {
            "a" if target.starts_with("https://") => odd_man_page(target),
            "a" => Some(format!("{target} is not https")),
            name => Some(format!("<{name}> fetches {target} from another host")),
        };
    }
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { page.to_path_buf() } else { resolve(page, path)? };
    if !book.join(&file).is_file() {
        return Some(format!("{target} leads nowhere"));
    }
    match ids.get(file.as_path()) {
        Some(ids) if !fragment.is_empty() && !ids.contains(fragment) => {
            Some(format!("{target}: that page has no such place"))
        }
        _ => None,
    }
}

/// A manual page's address repeats its section, `man2/pivot_root.2.html`; a slip of the pen shows
/// in that.
fn odd_man_page(target: &str) -> Option<String> {
    let rest = target.strip_prefix("https://man7.org/linux/man-pages/man")?;
    let page = rest.split('#').next().unwrap_or(rest);
    let good = page.split_once('/').is_some_and(|(section, name)| {
        let suffix = name.strip_suffix(".html").and_then(|name| name.rsplit_once('.'));
        suffix.is_some_and(|(_, suffix)| suffix.starts_with(section))
    });
    (!good).then(|| format!("{target} is not the address of a manual page"))
}

/// The file that a relative link leads to, as seen from the book's folder.
fn resolve(page: &Path, link: &str) -> Option<PathBuf> {
    let mut path = page.parent()?.to_path_buf();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    Some(path)
}

fn foreign_styles(style: &str) -> impl Iterator<Item = String> {
    style
        .lines()
        .filter(|line| line.contains("@import") || line.contains("url(") && line.contains("://"))
        .filter(|line| !line.contains("url('data:") && !line.contains("url(\"data:"))
        .map(|line| format!("fetches from another host: {}", line.trim()))
}

fn ids(page: &str) -> impl Iterator<Item = &str> {
    tags(page).into_iter().filter_map(|tag| tag.get("id"))
}

fn ids_with_repetitions(page: &str) -> usize {
    ids(page).count()
}

fn at(file: &Path, fault: impl std::fmt::Display) -> String {
    format!("{}: {fault}", file.display())
}

fn read(book: &Path, file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(book.join(file)).with_context(|| format!("read {}", file.display()))
}

/// The files of the book, as seen from its folder.
fn files(book: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = book.join(&folder);
        for entry in fs::read_dir(&here).with_context(|| format!("read {}", here.display()))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}
