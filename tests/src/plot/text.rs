//! A figure on a terminal: a column for each moment, as high as the curve.

use super::figure::{Figure, Limit, Note, Panel, short};

/// How many columns a panel has.
const COLUMNS: u8 = 60;
/// What is left for the numbers of the y axis.
const LEFT: usize = 5;
/// Cells that are filled from below, by eighths.
const FILLED: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// A cell through which a limit runs.
const EDGE: &str = "╌";
const CROSS: &str = "✕";

/// Draws the figure.
pub fn draw(figure: &Figure) -> String {
    let mut lines = vec![figure.title.to_owned()];
    for panel in &figure.panels {
        lines.push(format!("\n  {}", panel.title));
        lines.extend(draw_panel(panel));
    }
    lines.push(String::new());
    lines.extend(figure.caption.iter().map(|line| format!("  {line}")));
    lines.join("\n")
}

fn draw_panel(panel: &Panel) -> Vec<String> {
    let labels = panel.notes.iter().filter(|note| !note.is_event);
    let labels = along(labels.map(|note| (panel.x.part(note.at.0), note.text.to_owned())));
    let mut lines = Vec::from_iter(Some(labels).filter(|line| !line.is_empty()));
    lines.extend((1..=panel.height()).rev().map(|number| Row::of(panel, number).draw()));
    lines.push(format!("{:>LEFT$} └{}", 0, "─".repeat(COLUMNS.into())));
    lines.push(along(panel.x.numbers().map(|value| (panel.x.part(value), short(value)))));
    lines
}

/// A line of words, each with its middle at a part of the x axis.
fn along(words: impl Iterator<Item = (f64, String)>) -> String {
    let mut line = String::new();
    for (part, word) in words {
        let before =
            (0..COLUMNS).take_while(|column| f64::from(*column) < part * f64::from(COLUMNS));
        let start = (LEFT + 2 + before.count()).saturating_sub(word.chars().count() / 2);
        line = format!("{line:start$}{word}");
    }
    line
}

/// One line of cells, which is for the values above `low`, up to `high`.
struct Row<'f> {
    panel: &'f Panel,
    low: f64,
    high: f64,
}

impl Row<'_> {
    /// The row of this number, counted upwards from 1.
    fn of(panel: &Panel, number: u32) -> Row<'_> {
        let height = |rows: u32| panel.y.end() * f64::from(rows) / f64::from(panel.height());
        Row { panel, low: height(number - 1), high: height(number) }
    }

    /// Whether a value is shown in this row; what falls on the line between two is in the lower one.
    fn has(&self, value: f64) -> bool {
        // Less than can be seen, and more than a sum of fractions is wrong by.
        let tolerance = (self.high - self.low) / 100.0;
        value > self.low + tolerance && value <= self.high + tolerance
    }

    fn draw(&self) -> String {
        let number = self.panel.y.numbers().find(|value| self.has(*value)).map(short);
        let cells: String = (0..COLUMNS).map(|column| self.cell(column)).collect();
        let label = self.panel.limit.as_ref().filter(|limit| self.has(limit.to.1));
        let label = label.and_then(|limit| limit.label).unwrap_or_default();
        format!("{:>LEFT$} │{cells} {label}", number.unwrap_or_default()).trim_end().to_owned()
    }

    fn cell(&self, column: u8) -> &'static str {
        let position = |column: f64| self.panel.x.end() * column / f64::from(COLUMNS);
        let (left, right) = (position(f64::from(column)), position(f64::from(column) + 1.0));
        let middle = f64::midpoint(left, right);
        let happened = |note: &Note| {
            note.is_event && self.has(note.at.1) && (left..right).contains(&note.at.0)
        };
        if self.panel.notes.iter().any(happened) {
            return CROSS;
        }
        let value = self.panel.at(middle).unwrap_or_default();
        let part = (value - self.low) / (self.high - self.low);
        let filled = (0_u8..8).take_while(|eighths| f64::from(*eighths) + 0.5 < part * 8.0).count();
        let limit = |limit: &Limit| limit.at(middle).is_some_and(|value| self.has(value));
        let has_limit = self.panel.limit.as_ref().is_some_and(limit);
        if filled == 0 && has_limit { EDGE } else { FILLED[filled] }
    }
}
