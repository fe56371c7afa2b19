//! What the caller handed over and Rust's runtime changes before `main`, kept for the command.
//!
//! The runtime ignores SIGPIPE, and it opens /dev/null in the place of a standard stream that the
//! caller had closed. Both are good for this program and wrong for the command, which would inherit
//! them. By the time `main` runs the old state is gone, so a function in the section `.init_array`,
//! which the C library calls before the runtime's first instruction, takes it down.

use std::mem;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Context;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};

static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

#[used]
#[unsafe(link_section = ".init_array")]
static TAKE_DOWN: extern "C" fn() = take_down;

extern "C" fn take_down() {
    let stream = |fd: RawFd| libc::pollfd { fd, events: 0, revents: 0 };
    let mut streams = [0, 1, 2].map(stream);
    // SAFETY: a sigaction may be all zero, and these calls only write to the two variables.
    let handler = unsafe {
        let mut sigpipe = mem::zeroed::<libc::sigaction>();
        libc::sigaction(libc::SIGPIPE, ptr::null(), &raw mut sigpipe);
        libc::poll(streams.as_mut_ptr(), 3, 0);
        sigpipe.sa_sigaction
    };
    SIGPIPE_IGNORED.store(handler == libc::SIG_IGN, Relaxed);
    for (closed, stream) in CLOSED.iter().zip(streams) {
        closed.store(stream.revents & libc::POLLNVAL != 0, Relaxed);
    }
}

/// In the child: puts all of it back.
pub fn give_back() -> anyhow::Result<()> {
    if !SIGPIPE_IGNORED.load(Relaxed) {
        // SAFETY: "default" is not a function that could do harm.
        unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.context("signal SIGPIPE")?;
    }
    for (fd, closed) in (0..).zip(&CLOSED) {
        if closed.load(Relaxed) {
            // SAFETY: the runtime has opened /dev/null here, and nobody closes the standard
            // streams.
            let stream = unsafe { BorrowedFd::borrow_raw(fd) };
            fcntl(stream, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
                .with_context(|| format!("set close-on-exec on descriptor {fd}"))?;
        }
    }
    Ok(())
}

/// After a failure, so that a child whose standard error is a broken pipe still ends with its
/// status.
pub fn ignore_sigpipe() {
    // SAFETY: "ignore" is not a function either.
    // It cannot fail: SIGPIPE is a signal, and it may be ignored.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
}
