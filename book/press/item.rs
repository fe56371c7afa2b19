//! The lines of one item of a Rust file: a function, a type or a constant, with its comments.
//!
//! rustfmt has put every item's first and last line at one indentation and everything between them
//! deeper, so a look at the lines is enough. The sources need no tags for the book, and a listing
//! survives every edit of its file but the one that removes or renames the item, which is an error.

use anyhow::{Context, bail};

/// What may stand before the name of an item …
const KEYWORDS: [&str; 9] =
    ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "mod"];
/// … and what before that.
const MODIFIERS: [&str; 9] =
    ["pub", "crate", "super", "const", "unsafe", "async", "extern", "C", "default"];

/// The item called `name` in `source`, without the indentation that it has there.
pub fn item(source: &str, name: &str) -> anyhow::Result<String> {
    let lines: Vec<&str> = source.lines().collect();
    let mut heads = (0..lines.len()).filter(|&line| declares(lines[line], name));
    let head = heads.next().with_context(|| format!("no item is called '{name}'"))?;
    if let Some(other) = heads.next() {
        bail!("two items are called '{name}', on the lines {} and {}", head + 1, other + 1);
    }
    let margin = indentation(lines[head]);
    let first = first_line(&lines, head, margin);
    let last = (head..lines.len())
        .find(|&line| indentation(lines[line]) == margin && ends_item(lines[line]))
        .with_context(|| format!("'{name}' has no end that rustfmt would write"))?;
    let text = lines[first..=last].iter().map(|line| line.get(margin..).unwrap_or_default());
    Ok(text.collect::<Vec<_>>().join("\n"))
}

fn declares(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with("//") || line.starts_with('#') {
        return false;
    }
    let mut words =
        line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
    let mut before = Vec::new();
    let found = words.any(|word| {
        before.push(word);
        word == name
    });
    match before.as_slice() {
        [modifiers @ .., keyword, _] if found => {
            KEYWORDS.contains(keyword) && modifiers.iter().all(|word| MODIFIERS.contains(word))
        }
        _ => false,
    }
}

/// Goes up from the `head` over the item's comments and attributes.
fn first_line(lines: &[&str], head: usize, margin: usize) -> usize {
    let mut first = head;
    while let Some(above) = first.checked_sub(1) {
        let text = lines[above].trim_start();
        if indentation(lines[above]) != margin {
            break;
        }
        if text == ")]" {
            let opens = |&line: &usize| lines[line].trim_start().starts_with("#[");
            first = (0..above).rev().find(opens).unwrap_or(above);
        } else if text.starts_with("#[") || text.starts_with("//") && !text.starts_with("//!") {
            first = above;
        } else {
            break;
        }
    }
    first
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn ends_item(line: &str) -> bool {
    line.ends_with('}') || line.ends_with(';')
}

#[cfg(test)]
mod tests {
    use super::item;

    const SOURCE: &str = "\
//! About the file.

use std::path::Path;

/// Not this one.
const ROOTS: [&str; 1] = [\"/\"];
// Its reason.
const ROOT: &str = \"/\";

/// Changes the root.
#[must_use]
#[cfg_attr(
    test,
    expect(dead_code)
)]
pub(crate) unsafe fn chroot(
    to: &Path,
) -> bool {
    const INNER: u32 = 1;

    // fn after() is not here.
    to.is_dir()
}

pub struct Unit;

impl Unit {
    /// After.
    pub fn after(&self) {
        if true {
        }
    }
}
";

    #[test]
    fn a_function_comes_with_its_comment_and_attributes() {
        let text = item(SOURCE, "chroot").unwrap();
        assert!(text.starts_with("/// Changes the root.\n#[must_use]\n#[cfg_attr("), "{text}");
        assert!(text.ends_with("    to.is_dir()\n}"), "{text}");
    }

    #[test]
    fn a_constant_ends_where_the_next_one_begins() {
        assert_eq!(item(SOURCE, "ROOT").unwrap(), "// Its reason.\nconst ROOT: &str = \"/\";");
        assert_eq!(item(SOURCE, "Unit").unwrap(), "pub struct Unit;");
    }

    #[test]
    fn a_method_loses_its_indentation() {
        let text = item(SOURCE, "after").unwrap();
        assert_eq!(text, "/// After.\npub fn after(&self) {\n    if true {\n    }\n}");
    }

    #[test]
    fn a_name_that_nothing_or_more_than_one_thing_has_is_an_error() {
        assert_eq!(
            item(SOURCE, "pivot_root").unwrap_err().to_string(),
            "no item is called 'pivot_root'"
        );
        let twice = format!("{SOURCE}\nfn chroot() {{}}\n");
        assert!(
            item(&twice, "chroot").unwrap_err().to_string().starts_with("two items are called")
        );
    }
}
