//! The *isolation matrix*: for every step, what of its view a container still shares with the
//! host. A row is a step, a column one facet of the view (its host name, its processes …), and
//! every cell is measured by whoever fills the matrix; here it is only drawn, as text ([`text`])
//! and as a picture ([`svg`]).
//!
//! What a step adds is marked, so that the eye finds the staircase from the first step, which
//! shares everything, to the last.

mod svg;
mod text;

use serde::{Deserialize, Serialize};

use crate::view::State;

/// What was measured of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The step's name, as `03-pivot-root`.
    pub step: String,
    /// One cell for each facet, in their order.
    pub cells: Vec<State>,
}

/// Steps × facets of the view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// The names of the columns.
    pub facets: Vec<String>,
    /// The steps, in their order.
    pub rows: Vec<Row>,
}

impl Matrix {
    /// Whether the step in `row` changed this facet against the step before it; before the
    /// first, everything is the host's.
    pub fn is_new(&self, row: usize, column: usize) -> bool {
        let before = match row.checked_sub(1) {
            Some(before) => self.rows[before].cells[column],
            None => State::Shared,
        };
        self.rows[row].cells[column] != before
    }

    /// The matrix as lines of text.
    pub fn to_text(&self) -> String {
        text::draw(self)
    }

    /// The matrix as a picture, for light and dark pages.
    pub fn to_svg(&self) -> String {
        svg::draw(self)
    }

    /// What the step in `row` adds: the names of its new facets.
    fn adds(&self, row: usize) -> String {
        let new = (0..self.facets.len()).filter(|column| self.is_new(row, *column));
        let names: Vec<&str> = new.map(|column| self.facets[column].as_str()).collect();
        if names.is_empty() { "nothing".into() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, Row, State};

    /// `.` shared, `o` its own, `l` limited.
    fn matrix(facets: &[&str], rows: &[(&str, &str)]) -> Matrix {
        let cell = |letter| match letter {
            'o' => State::Own,
            'l' => State::Limited,
            _ => State::Shared,
        };
        Matrix {
            facets: facets.iter().map(ToString::to_string).collect(),
            rows: (rows.iter())
                .map(|(step, cells)| Row {
                    step: (*step).to_string(),
                    cells: cells.chars().map(cell).collect(),
                })
                .collect(),
        }
    }

    fn three_steps() -> Matrix {
        let rows = [("00-fork-exec", "..."), ("01-chroot", "o.."), ("02-cgroup", "o.l")];
        matrix(&["root directory", "mount <table>", "CPU"], &rows)
    }

    #[test]
    fn a_cell_is_new_where_it_differs_from_the_step_before() {
        let matrix = three_steps();
        let new: Vec<(usize, usize)> = (0..3)
            .flat_map(|row| (0..3).map(move |column| (row, column)))
            .filter(|(row, column)| matrix.is_new(*row, *column))
            .collect();
        assert_eq!(new, [(1, 0), (2, 2)]);
        assert_eq!(matrix.adds(2), "CPU");
    }

    #[test]
    fn the_text_marks_what_is_new() {
        let expected = [
            "               root directory",
            "               |  mount <table>",
            "               |  |  CPU",
            " 00-fork-exec  ·  ·  ·",
            " 01-chroot    [●] ·  ·",
            " 02-cgroup     ●  · [◐]",
            "",
            " ·  shared with the host   ●  its own   ◐  limited   [ ] new in this step",
            "",
        ];
        assert_eq!(three_steps().to_text(), expected.join("\n"));
    }

    #[test]
    fn the_picture_is_well_formed_and_says_what_it_shows() {
        let svg = three_steps().to_svg();
        assert!(svg.contains("mount &lt;table&gt;") && !svg.contains("<table>"));
        assert!(svg.contains("01-chroot: root directory"));
        for element in ["svg", "g", "use", "title", "desc", "text", "style", "defs"] {
            let opened = svg.matches(&format!("<{element} ")).count()
                + svg.matches(&format!("<{element}>")).count();
            assert_eq!(opened, svg.matches(&format!("</{element}>")).count(), "{element}");
        }
    }

    #[test]
    fn a_matrix_without_rows_can_be_drawn() {
        let empty = matrix(&[], &[]);
        assert!(empty.to_svg().ends_with("</svg>\n"));
        assert!(empty.to_text().contains("shared"));
    }

    #[test]
    fn the_whole_workshop_fits_a_readme() {
        let rows: Vec<(String, String)> =
            (0..20).map(|n| (format!("{n:02}-cgroup-pids-io"), "o".repeat(16))).collect();
        let rows: Vec<(&str, &str)> = rows.iter().map(|r| (r.0.as_str(), r.1.as_str())).collect();
        let svg = matrix(&["working directory"; 16], &rows).to_svg();
        let width: u32 = (svg.split_once("viewBox=\"0 0 ").unwrap().1)
            .split_once(' ')
            .and_then(|(width, _)| width.parse().ok())
            .unwrap();
        assert!(width <= 900, "{width}");
    }
}
