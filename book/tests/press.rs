//! The book as it stands in this clone is whole, and a book that is not whole is refused.

use std::fs;
use std::path::Path;

use book::{pages, plan, print, root, source};
use tempfile::{TempDir, tempdir};

const NONE: [&str; 0] = [];

/// As in the book's own `book.toml`, where the reasons stand.
const SETTINGS: &str = "[build]
use-default-preprocessors = false
[output.html]
input-404 = \"\"
";

#[test]
fn the_book_builds_and_all_its_links_lead_somewhere() {
    let built = tempdir().unwrap();
    print::print(&root().join("book"), root(), built.path()).unwrap();
    assert_eq!(pages::faults(built.path()).unwrap(), NONE);
    assert!(built.path().join("index.html").is_file());
}

#[test]
fn the_summary_lists_every_page() {
    assert_eq!(plan::unlisted_pages(&source()).unwrap(), NONE);
}

#[test]
fn every_step_has_its_chapter_and_every_chapter_its_step() {
    assert_eq!(plan::strays(root()).unwrap(), NONE);
}

#[test]
fn every_chapter_bears_the_title_of_its_step() {
    assert_eq!(plan::misnamed(root()).unwrap(), NONE);
}

const STEP: &str = r#"
title = "Step"
minutes = 5
[[exercise]]
file = "main.rs"
functions = ["main"]
task = "Write it."
hints = []
"#;

/// A clone with a book of two pages, into which a test puts its fault.
struct Clone(TempDir);

impl Clone {
    fn new() -> Clone {
        let clone = Clone(tempdir().unwrap());
        clone.write("book/book.toml", SETTINGS);
        clone.write("book/src/SUMMARY.md", "[One](one.md)\n- [00 · Step](00-one.md)\n");
        clone.write("book/src/one.md", "# One\n\n[the step](00-one.md#00--step)\n");
        clone.write(
            "book/src/00-one.md",
            "# 00 · Step\n\n*About 5 minutes.*\n\n{{#item steps/00-one/main.rs main}}\n",
        );
        clone.write("steps/00-one/main.rs", "fn main() {}\n");
        clone.write("steps/00-one/step.toml", STEP);
        clone.write(
            "steps/00-one/Cargo.toml",
            "[package]\nname = \"one\"\n[[bin]]\nname = \"00-one\"\n",
        );
        clone.write("tests/snapshots/00-one.snap", "---\nsource: x\n---\nview\n");
        clone
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap();
    }

    fn print(&self) -> anyhow::Result<()> {
        print::print(&self.path().join("book"), self.path(), &self.path().join("built"))
    }

    /// What is wrong with the pages once they are built.
    fn page_faults(&self) -> String {
        self.print().unwrap();
        pages::faults(&self.path().join("built")).unwrap().join("\n")
    }

    fn plan_faults(&self) -> String {
        let mut faults = plan::unlisted_pages(&self.path().join("book/src")).unwrap();
        faults.extend(plan::strays(self.path()).unwrap());
        faults.extend(plan::misnamed(self.path()).unwrap());
        faults.join("\n")
    }
}

#[test]
fn a_whole_book_has_no_faults() {
    let clone = Clone::new();
    assert_eq!(clone.page_faults(), "");
    assert_eq!(clone.plan_faults(), "");
}

#[test]
fn a_quotation_of_nothing_stops_the_build_and_names_page_and_line() {
    let clone = Clone::new();
    clone.write("steps/00-one/main.rs", "fn renamed() {}\n");
    let error = format!("{:#}", clone.print().unwrap_err());
    assert!(error.starts_with("00-one.md: line 5: {{#item steps/00-one/main.rs main}}"), "{error}");
}

#[test]
fn a_warning_of_mdbooks_stops_the_build() {
    let clone = Clone::new();
    clone.write("book/src/one.md", "# One\n\n<details><summary>Never closed\n");
    let error = format!("{:#}", clone.print().unwrap_err());
    assert!(error.starts_with("mdBook warns:"), "{error}");
}

#[test]
fn a_link_without_a_target_is_a_fault() {
    for (link, fault) in [
        ("[x](none.md)", "one.html: none.html leads nowhere"),
        ("[x](00-one.md#none)", "one.html: 00-one.html#none: that page has no such place"),
        ("[x](#none)", "one.html: #none: that page has no such place"),
        ("[x](http://man7.org/)", "one.html: http://man7.org/ is not https"),
        (
            "[x](https://man7.org/linux/man-pages/man2/proc.5.html)",
            "is not the address of a manual page",
        ),
    ] {
        let clone = Clone::new();
        clone.write("book/src/one.md", &format!("# One\n\n{link}\n"));
        assert!(clone.page_faults().contains(fault), "{link}: {}", clone.page_faults());
    }
}

#[test]
fn whatever_a_page_fetches_from_another_host_is_a_fault() {
    for element in ["<img src=\"https://example.org/a.png\">", "![x](https://example.org/a.png)"] {
        let clone = Clone::new();
        clone.write("book/src/one.md", &format!("# One\n\n{element}\n"));
        assert!(clone.page_faults().contains("<img> fetches https://example.org/a.png"));
    }
    let clone = Clone::new();
    clone.write("book/style.css", "@font-face { src: url(https://example.org/font.woff2) }\n");
    clone.write("book/book.toml", &format!("{SETTINGS}additional-css = [\"style.css\"]\n"));
    assert!(clone.page_faults().contains("fetches from another host"));
}

#[test]
fn an_id_that_a_page_has_twice_is_a_fault() {
    let clone = Clone::new();
    clone.write("book/src/one.md", "# One\n\n<p id=\"a\">a</p>\n<p id=\"a\">b</p>\n");
    assert!(clone.page_faults().contains("two elements have the same id"));
}

#[test]
fn a_page_outside_of_the_summary_is_a_fault() {
    let clone = Clone::new();
    clone.write("book/src/two.md", "# Two\n");
    assert_eq!(clone.plan_faults(), "SUMMARY.md does not list two.md");
    clone.write(
        "book/src/SUMMARY.md",
        "[One](one.md)\n[Two](two.md)\n[Two](two.md)\n- [00 · Step](00-one.md)\n",
    );
    assert_eq!(clone.plan_faults(), "SUMMARY.md lists two.md twice");
    clone.remove("book/src/two.md");
    assert!(clone.plan_faults().contains("there is no page two.md"));
}

#[test]
fn a_step_or_a_chapter_alone_is_a_fault() {
    let clone = Clone::new();
    clone.write("steps/01-two/step.toml", STEP);
    clone.write(
        "steps/01-two/Cargo.toml",
        "[package]\nname = \"two\"\n[[bin]]\nname = \"01-tow\"\n",
    );
    let faults = clone.plan_faults();
    assert!(faults.contains("step 01-two has no chapter"), "{faults}");
    assert!(faults.contains("steps/01-two makes no binary called 01-two"), "{faults}");
    assert!(faults.contains("step 01-two has no snapshot"), "{faults}");

    let clone = Clone::new();
    clone.write("book/src/01-two.md", "# Two\n");
    clone.write("tests/snapshots/01-two.snap", "---\n---\nview\n");
    let faults = clone.plan_faults();
    assert!(faults.contains("chapter 01-two.md has no step"), "{faults}");
    assert!(faults.contains("snapshot 01-two.snap has no step"), "{faults}");
}

#[test]
fn a_title_or_a_time_that_differs_is_a_fault() {
    let clone = Clone::new();
    clone.write("book/src/SUMMARY.md", "[Other](one.md)\n- [00 · Step](00-one.md)\n");
    clone.write("steps/00-one/step.toml", &STEP.replace("Step", "Stride").replace('5', "6"));
    let faults = clone.plan_faults();
    assert!(faults.contains("one.md: its heading is not '# Other'"), "{faults}");
    assert!(faults.contains("00-one.md: its heading is not '# 00 · Stride'"), "{faults}");
    assert!(faults.contains("00-one.md does not say 'About 6 minutes'"), "{faults}");
}
