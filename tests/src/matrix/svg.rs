//! The matrix as a picture, written by hand: rectangles, three glyphs, and a style sheet.
//!
//! Colour alone tells nothing: each kind of cell has its glyph, blue and orange differ for
//! colour-blind eyes too, and what is new stands out by a frame and a full instead of a pale
//! colour. A dark page gets its own colours, where the viewer tells (`prefers-color-scheme`).

use super::{Cell, Matrix};

const CELL_WIDTH: usize = 44;
const CELL_HEIGHT: usize = 24;
/// What a character of the labels takes at most, at their size of 13 pixels.
const CHARACTER: usize = 8;
const MARGIN: usize = 12;
const LEGEND: usize = 44;

const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #24292f }
.step { font-family: ui-monospace, monospace }
.cell { fill: #f0f2f4 } .own { fill: #d3e5f3 } .limited { fill: #fbe6c4 }
.own.new { fill: #0072b2; stroke: #003f63; stroke-width: 2 }
.limited.new { fill: #e69f00; stroke: #7a5400; stroke-width: 2 }
.shared.new { stroke: #24292f; stroke-width: 2 }
.glyph { fill: #5a6570; stroke: #5a6570 } .hollow { fill: none }
.new + .glyph { fill: #fff; stroke: #fff } .limited.new + .glyph { fill: #241900; stroke: #241900 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.cell { fill: #21262d } .own { fill: #16364d } .limited { fill: #47340d }
.own.new { fill: #3d9bd9; stroke: #b6dcf5 } .limited.new { fill: #f0b83c; stroke: #ffe9bd }
.shared.new { stroke: #e6edf3 }
.glyph { fill: #9aa4ae; stroke: #9aa4ae } .hollow { fill: none }
.new + .glyph { fill: #06141e; stroke: #06141e } .limited.new + .glyph { fill: #241900; stroke: #241900 }
}
";

/// Draws the matrix with its legend.
pub fn draw(matrix: &Matrix) -> String {
    let longest = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| name.chars().count()).max().unwrap_or(0) * CHARACTER
    };
    let left = MARGIN + longest(&mut matrix.rows.iter().map(|row| &row.step)) + MARGIN;
    // The names of the columns rise at 45 degrees, and the last one leans over the right edge.
    let top = MARGIN + longest(&mut matrix.facets.iter()) * 5 / 7;
    let (columns, rows) = (matrix.facets.len() * CELL_WIDTH, matrix.rows.len() * CELL_HEIGHT);
    let overhang = (matrix.facets.iter().enumerate())
        .map(|(column, name)| CELL_WIDTH * column + name.chars().count() * CHARACTER * 5 / 7)
        .max()
        .unwrap_or(0);
    let width = left + columns.max(overhang + CELL_WIDTH / 2) + MARGIN;
    let height = top + rows + LEGEND;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">Isolation matrix</title>\n<desc id=\"desc\">{}</desc>\n\
         <style>{STYLE}</style>\n",
        escape(&description(matrix))
    );
    for (column, facet) in matrix.facets.iter().enumerate() {
        let (x, y) = (left + CELL_WIDTH * column + CELL_WIDTH / 2, top - 6);
        let name = escape(facet);
        svg += &format!("<text transform=\"translate({x} {y}) rotate(-45)\">{name}</text>\n");
    }
    for (index, row) in matrix.rows.iter().enumerate() {
        let y = top + CELL_HEIGHT * index;
        let (baseline, name) = (y + CELL_HEIGHT * 2 / 3, escape(&row.step));
        svg += &format!("<text class=\"step\" x=\"{MARGIN}\" y=\"{baseline}\">{name}</text>\n");
        for (column, cell) in row.cells.iter().enumerate() {
            let new = matrix.is_new(index, column);
            let label = format!("{}, {}: {}", row.step, matrix.facets[column], cell.meaning());
            svg += &draw_cell(left + CELL_WIDTH * column, y, *cell, new, &label);
        }
    }
    svg + &legend(top + rows + LEGEND / 3) + "</svg>\n"
}

/// What the picture shows, for those who do not see it: what each step adds.
fn description(matrix: &Matrix) -> String {
    let steps: Vec<String> = (matrix.rows.iter().enumerate())
        .map(|(index, row)| format!("{}: {}", row.step, matrix.adds(index)))
        .collect();
    format!("What each step gives a container of its own, or limits. {}.", steps.join("; "))
}

/// One cell with its top left corner at (`x`, `y`): a box and in it the glyph.
fn draw_cell(x: usize, y: usize, cell: Cell, new: bool, label: &str) -> String {
    let (box_width, box_height) = (CELL_WIDTH - 4, CELL_HEIGHT - 4);
    let class = match cell {
        Cell::Shared => "shared",
        Cell::Own => "own",
        Cell::Limited => "limited",
    };
    let (new, is_new) = if new { (" new", ", new in this step") } else { ("", "") };
    let (x, y, label) = (x + 2, y + 2, escape(label));
    format!(
        "<g role=\"img\"><title>{label}{is_new}</title><rect class=\"cell {class}{new}\" x=\"{x}\" \
         y=\"{y}\" width=\"{box_width}\" height=\"{box_height}\" rx=\"4\"/>{}</g>\n",
        glyph(cell, x + box_width / 2, y + box_height / 2)
    )
}

/// A small ring, a disc, or a disc that is half full.
fn glyph(cell: Cell, x: usize, y: usize) -> String {
    let (top, bottom) = (y - 5, y + 5);
    let ring =
        |radius| format!("<circle class=\"glyph hollow\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>");
    match cell {
        Cell::Shared => format!("<circle class=\"glyph\" cx=\"{x}\" cy=\"{y}\" r=\"1.5\"/>"),
        Cell::Own => format!("<circle class=\"glyph\" cx=\"{x}\" cy=\"{y}\" r=\"5\"/>"),
        Cell::Limited => {
            format!("<path class=\"glyph\" d=\"M{x} {top} A5 5 0 0 0 {x} {bottom} Z\"/>{}", ring(5))
        }
    }
}

fn legend(y: usize) -> String {
    let mut svg = String::new();
    let mut x = MARGIN;
    let entries = [
        (Cell::Shared, false, Cell::Shared.meaning()),
        (Cell::Own, false, Cell::Own.meaning()),
        (Cell::Limited, false, Cell::Limited.meaning()),
        (Cell::Own, true, "new in this step"),
    ];
    for (cell, new, meaning) in entries {
        let (text_x, baseline) = (x + CELL_WIDTH + 4, y + CELL_HEIGHT * 2 / 3);
        svg += &draw_cell(x, y, cell, new, meaning);
        svg += &format!("<text x=\"{text_x}\" y=\"{baseline}\">{meaning}</text>\n");
        x = text_x + meaning.len() * CHARACTER + MARGIN;
    }
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
