//! Words and numbers that nobody can know before, and that one seed always gives again.

use std::cell::RefCell;
use std::iter;
use std::ops::Range;

/// Where they come from.
pub struct Random(RefCell<fastrand::Rng>);

impl Random {
    /// The same seed always gives the same sequence.
    pub fn new(seed: u64) -> Random {
        Random(RefCell::new(fastrand::Rng::with_seed(seed)))
    }

    /// A word of lower-case letters.
    pub fn word(&self) -> String {
        let mut random = self.0.borrow_mut();
        iter::repeat_with(|| random.lowercase()).take(10).collect()
    }

    /// A number of the range.
    pub fn number(&self, range: Range<i32>) -> i32 {
        self.0.borrow_mut().i32(range)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_repeats_itself() {
        let draw = |seed| {
            let random = Random::new(seed);
            (random.word(), random.number(0..1000), random.word())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7).0, draw(8).0);
        assert_ne!(draw(7).0, draw(7).2);
    }
}
