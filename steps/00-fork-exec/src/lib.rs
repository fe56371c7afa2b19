//! Step 00: how one program starts another, and what it owes to both its caller and its command.
//!
//! A container is a process. Before anything is taken away from it, this crate makes the process
//! and does three things well: the command starts with exactly what the caller handed over
//! (arguments, environment, descriptors, signal mask and dispositions), signals that are sent to
//! the step reach the command, and the step ends with the command's status.
//!
//! In the order of reading:
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`fork`](mod@fork) | the child process, and that it never outlives its parent | fork(2), `PR_SET_PDEATHSIG(2const)` |
//! | [`exec`](mod@exec) | the child becomes the command: `PATH`, and statuses 126 and 127 | execve(2), execvp(3) |
//! | `refusal` | why execve(2) refused a file, in words | elf(5) |
//! | [`wait`](mod@wait) | the parent waits, passes signals on, and reports the status | `pidfd_open(2)`, waitid(2) |
//! | `signals` | which signals are passed on, and how none is lost | signalfd(2), signal(7) |
//! | `inherited` | what Rust's runtime changed before `main`, given back | signal(7), execve(2) |
//! | `pidfd` | a descriptor that stands for a process | `pidfd_open(2)` |
//! | `program` | the frame of every step's `main`: options in, status out, errors in one line | |
//!
//! Every later step uses [`main`], [`fork()`], [`wait()`] and [`exec()`] as they stand here, until
//! step 06 puts clone(2) in the place of fork(2).

pub mod exec;
pub mod fork;
mod inherited;
mod pidfd;
mod program;
mod refusal;
mod signals;
pub mod wait;

pub use exec::{CommandError, CommandLine, exec};
pub use fork::{Child, exit, fork, fork_by};
pub use program::{command_of, main, report};
pub use signals::{passed_on, send_on};
pub use wait::wait;
