//! The matrix as a picture, written by hand: rectangles, three glyphs, and a style sheet.
//!
//! Colour alone tells nothing: each kind of cell has its glyph, blue and orange differ for
//! colour-blind eyes too, and what is new stands out by a frame and a full instead of a pale
//! colour. On a dark desktop it is dark, and it brings its own background, since the page
//! around it may be the other way.

use super::Matrix;
use crate::view::State;
use crate::xml::escape;
use std::iter;

/// A cell with the gap that surrounds it.
const CELL_WIDTH: usize = 40;
const CELL_HEIGHT: usize = 24;
/// What a character of a step's name takes, and one of another label at most, at 13 pixels.
const MONOSPACE: usize = 8;
const CHARACTER: usize = 7;
const MARGIN: usize = 12;
const LEGEND: usize = 44;

const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #24292f }
.step { font-family: ui-monospace, monospace }
.page { fill: #fff }
.shared { fill: #f0f2f4 } .own { fill: #d3e5f3 } .limited { fill: #fbe6c4 }
.glyph { fill: #5a6570; stroke: #5a6570 }
.new { stroke: #24292f; stroke-width: 2 }
.own.new { fill: #0072b2; stroke: #003f63 } .own.new + .glyph { fill: #fff; stroke: #fff }
.limited.new { fill: #e69f00; stroke: #7a5400 }
.limited.new + .glyph { fill: #241900; stroke: #241900 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117 }
.shared { fill: #21262d } .own { fill: #16364d } .limited { fill: #47340d }
.glyph { fill: #9aa4ae; stroke: #9aa4ae }
.new { stroke: #e6edf3 }
.own.new { fill: #3d9bd9; stroke: #b6dcf5 } .own.new + .glyph { fill: #06141e; stroke: #06141e }
.limited.new { fill: #f0b83c; stroke: #ffe9bd }
}
";

/// Draws the matrix with its legend.
pub fn draw(matrix: &Matrix) -> String {
    let steps = matrix.rows.iter().map(|row| row.step.chars().count());
    let left = MARGIN + steps.max().unwrap_or(0) * MONOSPACE + MARGIN;
    let facets = matrix.facets.iter().map(|name| name.chars().count());
    let top = MARGIN + slanted(facets.clone().max().unwrap_or(0)) + MARGIN;
    let bottom = top + matrix.rows.len() * CELL_HEIGHT;

    // The names of the columns lean to the right, and the last ones over the edge.
    let edges = facets.enumerate().map(|(column, length)| {
        left + column * CELL_WIDTH + (CELL_WIDTH / 2 + slanted(length)).max(CELL_WIDTH)
    });
    let (legend, legend_width) = legend(bottom + LEGEND / 3);
    let width = edges.chain(iter::once(legend_width)).max().unwrap_or(0) + MARGIN;
    let height = bottom + LEGEND;

    let mut svg = opening(matrix, width, height);
    for (column, facet) in matrix.facets.iter().enumerate() {
        let (x, y) = (left + column * CELL_WIDTH + CELL_WIDTH / 2, top - 6);
        let name = escape(facet);
        svg.push(format!("<text transform=\"translate({x} {y}) rotate(-45)\">{name}</text>"));
    }
    for (index, row) in matrix.rows.iter().enumerate() {
        let y = top + index * CELL_HEIGHT;
        svg.push(text("class=\"step\" ", MARGIN, y, &row.step));
        for (column, cell) in row.cells.iter().enumerate() {
            let new = matrix.is_new(index, column);
            let title = format!("{}, {}: {}", row.step, matrix.facets[column], cell.meaning());
            svg.push(place(*cell, new, left + column * CELL_WIDTH, y, &title));
        }
    }
    svg.extend(legend);
    svg.push("</svg>\n".into());
    svg.join("\n")
}

/// All that stands before the first cell.
fn opening(matrix: &Matrix, width: usize, height: usize) -> Vec<String> {
    vec![
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">"
        ),
        "<title id=\"title\">Isolation matrix</title>".into(),
        format!("<desc id=\"desc\">{}</desc>", escape(&description(matrix))),
        format!("<style>{STYLE}</style>"),
        format!("<defs>\n{}</defs>", patterns()),
        format!("<rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"),
    ]
}

/// How far a label of so many characters reaches, up as well as to the right, at 45 degrees.
fn slanted(characters: usize) -> usize {
    characters * CHARACTER * 5 / 7
}

/// What the picture shows, for those who do not see it: what each step adds.
fn description(matrix: &Matrix) -> String {
    let steps: Vec<String> = (matrix.rows.iter().enumerate())
        .map(|(index, row)| format!("{}: {}", row.step, matrix.adds(index)))
        .collect();
    format!("What each step gives a container of its own, or limits. {}.", steps.join("; "))
}

/// The six kinds of cells, each with the name under which [`place`] puts it in its places.
fn patterns() -> String {
    let (width, height) = (CELL_WIDTH - 4, CELL_HEIGHT - 4);
    let (x, y) = (CELL_WIDTH / 2, CELL_HEIGHT / 2);
    let dot = format!("<circle class=\"glyph\" cx=\"{x}\" cy=\"{y}\" r=\"1\"/>");
    let disc = format!("<circle class=\"glyph\" cx=\"{x}\" cy=\"{y}\" r=\"5\"/>");
    // A half disc, and the outline of the other half.
    let half = format!(
        "<g class=\"glyph\"><path d=\"M{x} {top} a5 5 0 0 0 0 10 z\"/>\
         <path fill=\"none\" d=\"M{x} {top} a5 5 0 0 1 0 10\"/></g>",
        top = y - 5
    );
    let mut patterns = Vec::new();
    for (cell, glyph) in [(State::Shared, dot), (State::Own, disc), (State::Limited, half)] {
        for name in [name(cell, false), name(cell, true)] {
            let class = name.replace('-', " ");
            patterns.push(format!(
                "<g id=\"{name}\"><rect class=\"{class}\" x=\"2\" y=\"2\" width=\"{width}\" \
                 height=\"{height}\" rx=\"4\"/>{glyph}</g>\n"
            ));
        }
    }
    patterns.concat()
}

fn name(cell: State, new: bool) -> String {
    let kind = match cell {
        State::Shared => "shared",
        State::Own => "own",
        State::Limited => "limited",
    };
    format!("{kind}{}", if new { "-new" } else { "" })
}

/// One cell with its top left corner at (`x`, `y`).
fn place(cell: State, new: bool, x: usize, y: usize, title: &str) -> String {
    let (name, title) = (name(cell, new), escape(title));
    format!("<use href=\"#{name}\" x=\"{x}\" y=\"{y}\"><title>{title}</title></use>")
}

/// A label in a line whose cells begin at `y`.
fn text(attributes: &str, x: usize, y: usize, label: &str) -> String {
    let baseline = y + CELL_HEIGHT * 2 / 3;
    format!("<text {attributes}x=\"{x}\" y=\"{baseline}\">{}</text>", escape(label))
}

/// What the cells mean, in a line at `y`, and where that line ends.
fn legend(y: usize) -> (Vec<String>, usize) {
    let mut elements = Vec::new();
    let mut x = MARGIN;
    for (cell, new, meaning) in [
        (State::Shared, false, State::Shared.meaning()),
        (State::Own, false, State::Own.meaning()),
        (State::Limited, false, State::Limited.meaning()),
        (State::Own, true, "new in this step"),
    ] {
        elements.push(place(cell, new, x, y, meaning));
        elements.push(text("", x + CELL_WIDTH + 4, y, meaning));
        x += CELL_WIDTH + 4 + meaning.len() * CHARACTER + MARGIN;
    }
    (elements, x)
}
