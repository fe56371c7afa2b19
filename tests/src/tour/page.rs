//! The page on which the tour is written: standard output, 80 columns wide.

use std::io::{self, Stdout, Write};

use anyhow::{Context, Result};

use crate::colour::{BOLD, Colour, DIM, GREEN};
use crate::view::{Facet, State};

/// As wide as a terminal is that nobody has touched.
const WIDTH: usize = 80;

/// Where the tour is written to.
pub struct Page {
    out: Stdout,
    colour: Colour,
}

impl Page {
    /// Standard output, with colours where a person looks at it.
    pub fn new() -> Page {
        let out = io::stdout();
        let colour = Colour::on(&out);
        Page { out, colour }
    }

    /// A text, its lines broken between words.
    pub fn paragraph(&self, text: &str) -> Result<()> {
        wrap(text, WIDTH).iter().try_for_each(|line| self.line(line))
    }

    /// A line as it is.
    pub fn line(&self, text: &str) -> Result<()> {
        writeln!(&self.out, "{text}").context("write to standard output")
    }

    fn painted(&self, text: &str, code: &str) -> Result<()> {
        self.line(&self.colour.paint(text, code))
    }

    /// What is there besides, in a low voice: a word, and to what it applies.
    pub fn aside(&self, word: &str, names: &[&str]) -> Result<()> {
        let text = format!("{word}: {}", names.join(", "));
        wrap(&text, WIDTH - 2).iter().try_for_each(|line| self.painted(&format!("  {line}"), DIM))
    }

    /// A heading, with a rule that fills the line.
    pub fn heading(&self, text: &str) -> Result<()> {
        let rule = "━".repeat(WIDTH.saturating_sub(text.chars().count() + 4));
        self.line("")?;
        self.painted(&format!("━━ {text} {rule}"), BOLD)
    }

    /// A command, and below it the words that it printed.
    pub fn command(&self, words: &[&str], printed: &str) -> Result<()> {
        self.painted(&format!("  $ {}", words.join(" ")), BOLD)?;
        for line in wrap(printed, WIDTH - 4) {
            self.line(&format!("    {line}"))?;
        }
        Ok(())
    }

    /// Facets of a view, the host's beside the container's; `new` tells which of them the step has
    /// changed.
    pub fn facets(&self, facets: &[&Facet], new: impl Fn(&Facet) -> bool) -> Result<()> {
        let widest = |texts: &dyn Fn(&Facet) -> &str| {
            facets.iter().map(|facet| texts(facet).chars().count()).max().unwrap_or(0)
        };
        let name = widest(&|facet| &facet.name);
        let host = widest(&|facet| &facet.witness[0]);
        let container = widest(&|facet| &facet.witness[1]);
        let row = |mark: &str, texts: [&str; 4]| {
            let [first, second, third, fourth] = texts;
            let row = format!("{mark} {first:name$} {second:host$} {third:container$} {fourth}");
            row.trim_end().to_owned()
        };
        self.painted(&row(" ", ["", "on the host", "in the container", ""]), DIM)?;
        for facet in facets {
            let [outside, inside] = &facet.witness;
            let state = if facet.state == State::Shared { "" } else { facet.state.meaning() };
            let texts = [facet.name.as_str(), outside, inside, state];
            match (new(facet), facet.state) {
                (true, _) => self.painted(&row(">", texts), GREEN)?,
                (false, State::Shared) => self.painted(&row(" ", texts), DIM)?,
                (false, _) => self.line(&row(" ", texts))?,
            }
        }
        Ok(())
    }
}

/// Breaks a text into lines of at most `width` characters, between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("bin boot dev", 8), ["bin boot", "dev"]);
        assert_eq!(wrap("a-word-that-is-too-long b", 5), ["a-word-that-is-too-long", "b"]);
        assert!(wrap("", 5).is_empty());
    }
}
