//! What the caller handed over and Rust's runtime changes before `main`, kept for the command.
//!
//! The runtime ignores SIGPIPE, and it opens /dev/null in the place of a standard stream that the caller
//! had closed. Both are good for this program and wrong for the command, which would inherit them. By
//! the time `main` runs the old state is gone, so a function in the section `.init_array`, which the C
//! library calls before it calls anything else, takes it down.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::Context;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use std::os::fd::BorrowedFd;

static SIGPIPE: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);
static CLOSED: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

#[used]
#[unsafe(link_section = ".init_array")]
static TAKE_DOWN: extern "C" fn() = take_down;

extern "C" fn take_down() {
    let stream = |fd| libc::pollfd { fd, events: 0, revents: 0 };
    let mut streams = [stream(0), stream(1), stream(2)];
    // SAFETY: a sigaction is plain data, and both calls only write to these two variables.
    let sigpipe = unsafe {
        let mut sigpipe = std::mem::zeroed::<libc::sigaction>();
        libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut sigpipe);
        libc::poll(streams.as_mut_ptr(), 3, 0);
        sigpipe.sa_sigaction
    };
    SIGPIPE.store(sigpipe, Relaxed);
    for (closed, stream) in CLOSED.iter().zip(streams) {
        closed.store((stream.revents & libc::POLLNVAL).cast_unsigned().into(), Relaxed);
    }
}

/// In the child: puts all of it back.
pub fn give_back() -> anyhow::Result<()> {
    let sigpipe = if SIGPIPE.load(Relaxed) == libc::SIG_IGN {
        SigHandler::SigIgn
    } else {
        SigHandler::SigDfl
    };
    // SAFETY: neither of the two is a function.
    unsafe { signal(Signal::SIGPIPE, sigpipe) }.context("signal SIGPIPE")?;
    for (fd, closed) in (0..).zip(&CLOSED) {
        if closed.load(Relaxed) != 0 {
            // SAFETY: the runtime has opened /dev/null here, and nobody closes the standard streams.
            let stream = unsafe { BorrowedFd::borrow_raw(fd) };
            fcntl(stream, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
                .with_context(|| format!("set close-on-exec on descriptor {fd}"))?;
        }
    }
    Ok(())
}

/// After a failure, so that a child whose standard error is a broken pipe still ends with its status.
pub fn ignore_sigpipe() {
    // SAFETY: "ignore" is not a function. Signal and disposition are valid, so it cannot fail.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
}
