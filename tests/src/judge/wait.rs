//! How long we wait, and looking again until something has happened, where the kernel offers
//! nothing to wait on.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How long a thing may take that should happen at once. Only a broken program ever takes that
/// long, or a right one on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Whether `happened` comes true within `limit`.
pub fn until(limit: Duration, happened: impl Fn() -> Result<bool>) -> Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        if happened()? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(Duration::from_millis(2));
    }
}
