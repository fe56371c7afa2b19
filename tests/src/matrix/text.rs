//! The matrix on a terminal: the names of the columns come down like stairs, so that they need
//! no more room than the glyphs beneath them.

use super::{Cell, Matrix};
use std::fmt::Write;

/// Draws the matrix as a table with a legend.
pub fn draw(matrix: &Matrix) -> String {
    let width = (matrix.rows.iter()).map(|row| row.step.chars().count()).max().unwrap_or(0);
    let mut lines = String::new();
    for (column, facet) in matrix.facets.iter().enumerate() {
        lines += &format!(" {:width$}  {}{facet}\n", "", "|  ".repeat(column));
    }
    for (index, row) in matrix.rows.iter().enumerate() {
        let mut line = format!(" {:width$} ", row.step);
        for (column, cell) in row.cells.iter().enumerate() {
            let (open, close) = if matrix.is_new(index, column) { ('[', ']') } else { (' ', ' ') };
            let _ = write!(line, "{open}{}{close}", glyph(*cell));
        }
        lines += line.trim_end();
        lines.push('\n');
    }
    lines.push('\n');
    for cell in [Cell::Shared, Cell::Own, Cell::Limited] {
        lines += &format!(" {}  {}  ", glyph(cell), cell.meaning());
    }
    lines + " [ ] new in this step\n"
}

fn glyph(cell: Cell) -> char {
    match cell {
        Cell::Shared => '·',
        Cell::Own => '●',
        Cell::Limited => '◐',
    }
}
