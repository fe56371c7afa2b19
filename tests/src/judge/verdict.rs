//! How a check ends.

use anyhow::Error;
use serde::{Deserialize, Serialize};

/// The result of a check that ran to its end: `Ok` if what it asserts holds.
pub type Held = Result<(), Broken>;

/// Why a check did not hold.
#[derive(Debug)]
pub enum Broken {
    /// The program broke its promise.
    Promise { expected: String, shown: String },
    /// This machine cannot run the check.
    Unsupported(String),
    /// The judge itself failed.
    Judge(Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Broken {
        Broken::Judge(error)
    }
}

/// A broken promise: what was expected, and what the kernel showed.
pub fn broken<T>(expected: impl Into<String>, shown: impl Into<String>) -> Result<T, Broken> {
    Err(Broken::Promise { expected: expected.into(), shown: shown.into() })
}

/// Holds if `condition` does; otherwise says what was expected and what was shown instead.
pub fn expect(condition: bool, expected: &str, shown: impl FnOnce() -> String) -> Held {
    if condition { Ok(()) } else { broken(expected, shown()) }
}

/// The end of a check, as it travels from the judging process to the grader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "status")]
pub enum Verdict {
    Passed,
    Failed { expected: String, shown: String },
    Unsupported { reason: String },
    Error { reason: String },
}

impl From<Held> for Verdict {
    fn from(held: Held) -> Verdict {
        match held {
            Ok(()) => Verdict::Passed,
            Err(Broken::Promise { expected, shown }) => Verdict::Failed { expected, shown },
            Err(Broken::Unsupported(reason)) => Verdict::Unsupported { reason },
            Err(Broken::Judge(error)) => Verdict::Error { reason: format!("{error:#}") },
        }
    }
}
