//! Colours for people who look at a terminal, and want them.

use std::env;
use std::io::IsTerminal;

/// Bold.
pub const BOLD: &str = "1";
/// Less bright than the rest.
pub const DIM: &str = "2";
/// What is not as it should be.
pub const RED: &str = "31";
/// What is good, or new.
pub const GREEN: &str = "32";
/// What is not known, or limited.
pub const YELLOW: &str = "33";

/// Whether there are colours.
#[derive(Clone, Copy)]
pub struct Colour(bool);

impl Colour {
    /// Colours on a terminal, unless `NO_COLOR` is set (<https://no-color.org>) or it has none.
    pub fn on(out: &impl IsTerminal) -> Colour {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|kind| kind == "dumb");
        Colour(out.is_terminal() && !unwanted && !dumb)
    }

    /// No colours.
    #[cfg(test)]
    pub const NONE: Colour = Colour(false);

    /// The text in a colour: a number of `SELECT GRAPHIC RENDITION` (`console_codes(4)`).
    pub fn paint(self, text: &str, code: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
