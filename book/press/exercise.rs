//! What a step's `step.toml` says of it: its title, its minutes, and the exercises.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The part of a `step.toml` that the book prints.
#[derive(Deserialize)]
pub struct Step {
    /// The chapter bears it too.
    pub title: String,
    /// How long the chapter takes.
    pub minutes: u32,
    exercise: Vec<Exercise>,
}

#[derive(Deserialize)]
struct Exercise {
    file: String,
    functions: Vec<String>,
    task: String,
    hints: Vec<String>,
}

impl Step {
    /// Reads the `step.toml` of the folder `step`.
    pub fn read(step: &Path) -> anyhow::Result<Step> {
        let file = step.join("step.toml");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let step: Step =
            toml::from_str(&text).with_context(|| format!("read {}", file.display()))?;
        ensure!(!step.exercise.is_empty(), "{} has no exercise", file.display());
        Ok(step)
    }

    /// Every exercise: what to write and where, and its hints, each behind a click. `folder` is the
    /// step's as the reader finds it.
    #[must_use]
    pub fn exercises(&self, folder: &str) -> String {
        self.exercise.iter().map(|exercise| exercise.page(folder)).collect()
    }
}

impl Exercise {
    fn page(&self, folder: &str) -> String {
        let Exercise { file, functions, task, hints } = self;
        let names = functions.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let hint = |(number, hint): (usize, &String)| {
            let summary = format!("Hint {number} of {}", hints.len());
            format!("<details>\n<summary>{summary}</summary>\n\n{hint}\n\n</details>\n\n")
        };
        let hints: String = (1..).zip(hints).map(hint).collect();
        let names = names.join(" and ");
        format!("**{names}** in `{folder}/{file}`. {}\n\n{hints}", task.trim())
    }
}
