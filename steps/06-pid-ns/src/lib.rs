//! Step 06: process ids of its own.
//!
//! In a PID namespace the first process has the number 1, and nobody in it can name a process
//! outside: there is no number for one. Two things follow, and each has its function here:
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`spawn`](mod@spawn) | the child must be *born* in the namespace, so clone(2) takes fork(2)'s place | clone(2), `pid_namespaces(7)` |
//! | [`init`](mod@init) | process 1 has duties that an ordinary program does not know of | `pid_namespaces(7)`, kill(2) |
//!
//! And one thing comes by itself: when process 1 ends, the kernel kills everything in the
//! namespace. From this step on a container ends as a whole.

pub mod init;
pub mod spawn;

pub use init::init;
pub use spawn::spawn;

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct PidOptions {
    /// Run an init inside the container that forwards signals and reaps processes
    #[arg(long)]
    pub init: bool,
}
