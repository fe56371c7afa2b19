//! Looks at a program under test, from the host's side of the boundary.
//!
//! - [`trial`]: what one check has in its hands.
//! - [`start`]: how the step is started.
//! - [`run`]: the step while it runs, and its end; [`stream`]: what it writes.
//! - [`agent`]: the probe, running as the container's command, and the orders it takes.
//! - [`kernel`]: what the kernel says of a process, read through `/proc` from outside.
//! - [`network`]: interfaces, addresses and routes; [`netfilter`]: tables of rules.
//! - [`groups`]: which control groups a process is in; [`account`]: what the kernel counts there.
//! - [`disk`]: a disk of the trial's own.
//! - [`archive`]: tar archives, right ones and wrong ones; [`image`]: images made of them.
//! - [`gate`]: holds whoever opens a certain file.
//! - [`processes`]: which processes there are.
//! - [`tree`]: what files there are.
//! - [`random`]: words and numbers that nobody can know before.
//! - [`wait`]: how long, and looking again until something has happened.
//! - [`verdict`]: how a check ends.

pub mod account;
pub mod agent;
pub mod archive;
pub mod disk;
pub mod gate;
pub mod groups;
pub mod image;
pub mod kernel;
pub mod netfilter;
pub mod network;
pub mod processes;
pub mod random;
pub mod run;
pub mod start;
pub mod stream;
pub mod tree;
pub mod trial;
pub mod verdict;
pub mod wait;
