//! The matrix on a terminal: the names of the columns come down like stairs, so that they need
//! no more room than the glyphs beneath them.

use super::Matrix;
use crate::view::State;

/// Draws the matrix as a table with a legend.
pub fn draw(matrix: &Matrix) -> String {
    let names = matrix.rows.iter().map(|row| row.step.chars().count());
    let width = names.max().unwrap_or(0);
    let mut lines: Vec<String> = (matrix.facets.iter().enumerate())
        .map(|(column, facet)| format!(" {:width$}  {}{facet}", "", "|  ".repeat(column)))
        .collect();
    for (index, row) in matrix.rows.iter().enumerate() {
        let cells: String = (row.cells.iter().enumerate())
            .map(|(column, cell)| match (matrix.is_new(index, column), glyph(*cell)) {
                (true, glyph) => format!("[{glyph}]"),
                (false, glyph) => format!(" {glyph} "),
            })
            .collect();
        lines.push(format!(" {:width$} {}", row.step, cells.trim_end()));
    }
    let legend = [State::Shared, State::Own, State::Limited]
        .map(|cell| format!("{}  {}   ", glyph(cell), cell.meaning()))
        .concat();
    lines.push(format!("\n {legend}[ ] new in this step\n"));
    lines.join("\n")
}

fn glyph(cell: State) -> char {
    match cell {
        State::Shared => '·',
        State::Own => '●',
        State::Limited => '◐',
    }
}
