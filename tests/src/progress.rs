//! How far long work has come.

use std::io::{self, IsTerminal, Write};

/// A line that says what runs now, for a person at a terminal; it goes when all is done.
pub struct Progress {
    shown: bool,
    started: usize,
    all: usize,
}

impl Progress {
    /// Nothing has been started yet of so much work.
    pub fn new(all: usize) -> Progress {
        Progress { shown: io::stderr().is_terminal(), started: 0, all }
    }

    /// Says that the next piece of it begins.
    pub fn started(&mut self, name: &str) {
        self.started += 1;
        self.clear();
        if self.shown {
            let _ = write!(io::stderr(), "{} of {}: {name} …", self.started, self.all);
        }
    }

    /// Makes room for other text.
    pub fn clear(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "{ERASE}");
        }
    }
}

/// Back to the beginning of the line, and nothing on it (`console_codes(4)`).
const ERASE: &str = "\r\x1b[K";

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
