//! Step 09: clocks of its own.
//!
//! Linux has three clocks that matter here, and a time namespace has two of them: the one that
//! never goes backwards (`CLOCK_MONOTONIC`), and the one that counts from the boot, sleep included
//! (`CLOCK_BOOTTIME`). A namespace does not run them by itself. It has an *offset* for each, which
//! the kernel adds whenever a process in it asks. The time of day (`CLOCK_REALTIME`) is everybody's.
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`offsets`] | how far the clocks have to be moved to show an uptime | `time_namespaces(7)`, `clock_gettime(2)` |
//! | [`clocks`] | [`own_clocks`]: the namespace, its offsets, and the way into it | `time_namespaces(7)`, setns(2) |

pub mod clocks;
pub mod offsets;

pub use clocks::own_clocks;
pub use offsets::{Offsets, TimeOptions};
