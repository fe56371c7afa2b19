//! What a picture shows, before anybody draws it.

use std::iter;

/// A place in a panel: how far to the right, and how high, in the units of its axes.
pub type Point = (f64, f64);

/// One picture.
pub struct Figure {
    /// The word that names its file.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What it shows, for those who do not see it.
    pub description: String,
    /// Its curves, from the top down.
    pub panels: Vec<Panel>,
    /// Lines below them: what came of it, and where.
    pub caption: Vec<String>,
}

/// One curve over its axes.
pub struct Panel {
    /// What the axes are, and their units.
    pub title: &'static str,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// How many lines of text high it is, from one number of its y axis to the next.
    pub rows: u32,
    /// The curve, from the left to the right.
    pub line: Vec<Point>,
    /// What the curve must not go above.
    pub limit: Option<Limit>,
    /// What is said about places in it.
    pub notes: Vec<Note>,
}

/// An axis that begins at 0.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// How far it is from one number on it to the next.
    pub step: f64,
    /// How many of these steps it has.
    pub steps: u32,
}

/// A straight line.
pub struct Limit {
    /// Its left end.
    pub from: Point,
    /// Its right end.
    pub to: Point,
    /// What it is called, above its left end.
    pub label: Option<&'static str>,
}

/// A few words at some place.
pub struct Note {
    /// The place.
    pub at: Point,
    /// The words.
    pub text: &'static str,
    /// Whether something happened there, which is marked by a cross.
    pub is_event: bool,
}

impl Axis {
    /// An axis that has room for `most`, in five steps at most between round numbers.
    pub fn up_to(most: f64) -> Axis {
        let tens = iter::successors(Some(0.01), |ten| Some(ten * 10.0)).take(12);
        let round = tens.flat_map(|ten| [ten, ten * 2.0, ten * 5.0]);
        let enough = |step: f64| (1..=5).find(|steps| f64::from(*steps) * step >= most);
        let mut found = round.filter_map(|step| Some(Axis { step, steps: enough(step)? }));
        found.next().unwrap_or(Axis { step: most, steps: 1 })
    }

    /// Where it ends.
    pub fn end(self) -> f64 {
        f64::from(self.steps) * self.step
    }

    /// The numbers on it.
    pub fn numbers(self) -> impl Iterator<Item = f64> {
        (0..=self.steps).map(move |count| f64::from(count) * self.step)
    }

    /// Where a value lies, as a part of the axis. What lies beyond an end is shown at the end.
    pub fn part(self, value: f64) -> f64 {
        (value / self.end()).clamp(0.0, 1.0)
    }
}

impl Limit {
    /// How high it is at `x`, if it goes so far.
    pub fn at(&self, x: f64) -> Option<f64> {
        let (from, to) = (self.from, self.to);
        (from.0..=to.0).contains(&x).then(|| between(from, to, x))
    }
}

impl Note {
    /// Words, with their middle at this place.
    pub fn label(at: Point, text: &'static str) -> Note {
        Note { at, text, is_event: false }
    }

    /// Something that happened.
    pub fn event(at: Point, text: &'static str) -> Note {
        Note { at, text, is_event: true }
    }
}

impl Panel {
    /// How many lines of text high it is.
    pub fn height(&self) -> u32 {
        self.rows * self.y.steps
    }

    /// How high the curve is at `x`, if it goes so far.
    pub fn at(&self, x: f64) -> Option<f64> {
        let next = self.line.iter().position(|point| point.0 >= x)?;
        let before = self.line[next.checked_sub(1).unwrap_or(next)];
        Some(between(before, self.line[next], x))
    }
}

/// How high the straight line through two points is at `x`.
fn between(from: Point, to: Point, x: f64) -> f64 {
    let width = to.0 - from.0;
    if width > 0.0 { from.1 + (to.1 - from.1) * (x - from.0) / width } else { to.1 }
}

/// A number with no more digits than it needs, two behind the point at most.
pub fn short(number: f64) -> String {
    let digits = format!("{number:.2}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Axis, Panel, short};

    fn numbers(axis: Axis) -> Vec<String> {
        axis.numbers().map(short).collect()
    }

    #[test]
    fn an_axis_has_room_and_round_numbers() {
        assert_eq!(numbers(Axis::up_to(1.83)), ["0", "0.5", "1", "1.5", "2"]);
        assert_eq!(numbers(Axis::up_to(2.1)), ["0", "0.5", "1", "1.5", "2", "2.5"]);
        assert_eq!(numbers(Axis::up_to(176.0)), ["0", "50", "100", "150", "200"]);
        assert_eq!(numbers(Axis::up_to(0.5)), ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(numbers(Axis::up_to(60.0)), ["0", "20", "40", "60"]);
        assert_eq!(numbers(Axis { step: 0.5, steps: 3 }), ["0", "0.5", "1", "1.5"]);
    }

    #[test]
    fn an_axis_without_anything_to_show_has_an_end() {
        let axis = Axis::up_to(0.0);
        assert!(axis.end() > 0.0, "{axis:?}");
    }

    #[test]
    fn what_lies_beyond_an_axis_is_shown_at_its_end() {
        let axis = Axis { step: 20.0, steps: 6 };
        let parts = [-1.0, 30.0, 500.0].map(|value| short(axis.part(value)));
        assert_eq!(parts, ["0", "0.25", "1"]);
    }

    #[test]
    fn a_curve_is_straight_from_point_to_point_and_ends_at_its_last() {
        let axis = Axis { step: 1.0, steps: 10 };
        let line = vec![(1.0, 0.0), (3.0, 4.0), (3.0, 1.0), (5.0, 1.0)];
        let (limit, notes) = (None, Vec::new());
        let panel = Panel { title: "", x: axis, y: axis, rows: 5, line, limit, notes };
        let heights = [2.0, 3.0, 4.0, 5.1].map(|x| panel.at(x));
        assert_eq!(heights, [Some(2.0), Some(4.0), Some(1.0), None]);
    }
}
