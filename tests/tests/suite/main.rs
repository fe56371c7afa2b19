//! The suite: the grader and the reference programs, judged on the real kernel.
//!
//! Everything here starts programs and looks at what they did. No system call is mocked.

mod at_once;
mod bad_input;
mod binaries;
mod hostile;
mod independent;
mod mutants;
mod network;
mod overlay;
mod plot;
mod reference;
mod tour;
mod view;
