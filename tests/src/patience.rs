//! How long we wait for what should happen at once.
//!
//! A program that hangs is waited for just as long, so nobody waits longer than a slow machine asks
//! for. Whoever makes a machine with an emulated processor (`vagrant/qemu/run`) knows that it is
//! slow, and says in its environment how many times as long things may take there.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

/// How many times as long as elsewhere, a whole number.
const VARIABLE: &str = "COOPERAGE_PATIENCE";

static TIMES: AtomicU32 = AtomicU32::new(1);

/// Takes over what the environment says. To be called once, before anything is waited for.
pub fn learn() -> Result<()> {
    let Some(word) = env::var_os(VARIABLE) else { return Ok(()) };
    let times = word.to_str().and_then(|word| word.parse().ok());
    let times = times.filter(|times| (1..=100).contains(times)).with_context(|| {
        format!("{VARIABLE} is `{}`, not a number from 1 to 100", word.display())
    })?;
    TIMES.store(times, Ordering::Relaxed);
    Ok(())
}

/// How long a thing may take that should happen at once. Only a broken program ever takes that
/// long, or a right one on a machine that has much else to do.
pub fn patience() -> Duration {
    stretched(Duration::from_secs(5))
}

/// This time, longer on a machine that is said to be slow.
pub fn stretched(time: Duration) -> Duration {
    time * TIMES.load(Ordering::Relaxed)
}
