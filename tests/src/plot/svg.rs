//! A figure as an SVG, written by hand.
//!
//! It becomes part of a page, and takes on its theme: lines and text have the colour of the page's
//! text, and the two others read on white and on black alike. Its text can still be read on a
//! phone, where it is three quarters as large.

use super::figure::{Figure, Limit, Note, Panel, Point, short};
use crate::xml::escape;

const WIDTH: f64 = 480.0;
/// What is left for the numbers of the y axis, and for half of the last one of the x axis.
const LEFT: f64 = 40.0;
const RIGHT: f64 = 16.0;
/// The height of a line of text, and of one of the rows that a panel asks for.
const LINE: f64 = 20.0;
const ROW: f64 = 17.0;

/// Blue for what was measured, red for what ended.
const CURVE: &str = "#3c8dd0";
const EVENT: &str = "#d9534f";

/// Draws the figure.
pub fn draw(figure: &Figure) -> String {
    let mut body = vec![text((0.0, LINE - 4.0), "font-weight=\"bold\"", figure.title)];
    let mut bottom = LINE;
    for panel in &figure.panels {
        let place = Place { panel, top: bottom + LINE * 2.0 };
        body.extend(place.draw());
        bottom = place.bottom() + LINE;
    }
    bottom += LINE / 2.0;
    for line in &figure.caption {
        bottom += LINE;
        body.push(text((0.0, bottom), "", line));
    }
    let (name, height) = (figure.name, short(bottom + LINE / 2.0));
    let (title, description) = (escape(figure.title), escape(&figure.description));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"{name}-title {name}-text\" font-family=\"system-ui, sans-serif\" \
         font-size=\"15\" fill=\"currentColor\">\n\
         <title id=\"{name}-title\">{title}</title>\n\
         <desc id=\"{name}-text\">{description}</desc>\n\
         {}\n</svg>\n",
        body.join("\n")
    )
}

/// A panel, and where in the picture it is.
struct Place<'f> {
    panel: &'f Panel,
    /// Where its y axis ends.
    top: f64,
}

impl Place<'_> {
    fn draw(&self) -> Vec<String> {
        let title = text((0.0, self.top - 13.0), "font-size=\"14\"", self.panel.title);
        let mut elements = vec![title];
        elements.extend(self.axes());
        elements.extend(self.curve());
        elements.extend(self.panel.limit.iter().flat_map(|limit| self.limit(limit)));
        elements.extend(self.panel.notes.iter().flat_map(|note| self.note(note)));
        elements
    }

    /// Where its y axis begins.
    fn bottom(&self) -> f64 {
        self.top + f64::from(self.panel.height()) * ROW
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.panel.x.part(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom() - self.panel.y.part(value) * (self.bottom() - self.top)
    }

    fn point(&self, (x, y): Point) -> String {
        format!("{:.1},{:.1}", self.x(x), self.y(y))
    }

    fn axes(&self) -> Vec<String> {
        let (left, right, bottom) = (short(LEFT), short(WIDTH - RIGHT), short(self.bottom()));
        let mut elements = Vec::new();
        for value in self.panel.y.numbers() {
            let y = self.y(value);
            let opacity = if value > 0.0 { "0.2" } else { "1" };
            elements.push(format!(
                "<path d=\"M{left} {y:.1}H{right}\" stroke=\"currentColor\" \
                 stroke-opacity=\"{opacity}\"/>"
            ));
            elements.push(text((LEFT - 6.0, y + 5.0), "text-anchor=\"end\"", &short(value)));
        }
        for value in self.panel.x.numbers() {
            let x = self.x(value);
            elements.push(format!("<path d=\"M{x:.1} {bottom}v5\" stroke=\"currentColor\"/>"));
            let place = (x, self.bottom() + LINE);
            elements.push(text(place, "text-anchor=\"middle\"", &short(value)));
        }
        elements
    }

    /// The curve, and the area beneath it.
    fn curve(&self) -> Vec<String> {
        let line = &self.panel.line;
        let (Some(first), Some(last)) = (line.first(), line.last()) else { return Vec::new() };
        let points: Vec<String> = line.iter().map(|point| self.point(*point)).collect();
        let points = points.join(" ");
        let (start, end) = (self.point((first.0, 0.0)), self.point((last.0, 0.0)));
        vec![
            format!(
                "<polygon points=\"{start} {points} {end}\" fill=\"{CURVE}\" fill-opacity=\"0.25\"/>"
            ),
            format!(
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{CURVE}\" \
                 stroke-width=\"2\" stroke-linejoin=\"round\"/>"
            ),
        ]
    }

    fn limit(&self, limit: &Limit) -> Vec<String> {
        let (from, to) = (self.point(limit.from), self.point(limit.to));
        let place = (self.x(limit.from.0) + 6.0, self.y(limit.from.1) - 7.0);
        let line = format!(
            "<polyline points=\"{from} {to}\" stroke=\"currentColor\" stroke-width=\"1.5\" \
             stroke-dasharray=\"7 4\"/>"
        );
        [line].into_iter().chain(limit.label.map(|label| text(place, "", label))).collect()
    }

    fn note(&self, note: &Note) -> Vec<String> {
        let (x, y) = (self.x(note.at.0), self.y(note.at.1));
        if !note.is_event {
            return vec![text((x, y + 5.0), "text-anchor=\"middle\"", note.text)];
        }
        vec![
            format!(
                "<path d=\"M{x:.1} {y:.1}m-6 -6l12 12m0 -12l-12 12\" stroke=\"{EVENT}\" \
                 stroke-width=\"3\"/>"
            ),
            text((x - 6.0, y - 8.0), "text-anchor=\"end\"", note.text),
        ]
    }
}

fn text((x, y): Point, attributes: &str, words: &str) -> String {
    let separator = if attributes.is_empty() { "" } else { " " };
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\"{separator}{attributes}>{}</text>", escape(words))
}
