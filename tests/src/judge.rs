//! Looks at a program under test, from the host's side of the boundary.
//!
//! - [`kernel`]: what the kernel says of a process, read through `/proc` from outside.
//! - [`program`]: starting the step, its standard streams, its end.
//! - [`agent`]: the probe, running as the container's command, and the orders it takes.
//! - [`trial`]: what one check has in its hands.
//! - [`random`]: words and numbers that nobody can know before.
//! - [`tree`]: what files there are.
//! - [`wait`]: looking again until something has happened.
//! - [`verdict`]: how a check ends.

pub mod agent;
pub mod kernel;
pub mod program;
pub mod random;
pub mod tree;
pub mod trial;
pub mod verdict;
pub mod wait;
