//! Looking again until something has happened, where the kernel offers nothing to wait on.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

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
