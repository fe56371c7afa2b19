//! Regular intervals.

use std::iter;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Comes back after every interval, the first time at once, and says each time when the first was.
/// Those that were missed, because the machine had something else to do, are left out.
pub fn ticks(interval: Duration) -> impl Iterator<Item = Instant> {
    let first = Instant::now();
    let mut due = first;
    iter::repeat_with(move || {
        sleep(due.saturating_duration_since(Instant::now()));
        while due <= Instant::now() {
            due += interval;
        }
        first
    })
}
