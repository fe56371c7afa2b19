//! The signals that are passed on to the command, and how none of them is lost.
//!
//! A signal handler could only set a flag, and a signal that comes between looking at the flag and
//! going to sleep would wait until the next one. So there is no handler: the signals are blocked
//! before the fork, stay pending in the kernel, and are read from a signalfd(2) when the parent is
//! ready for them.

use std::sync::OnceLock;

use anyhow::Context;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};

use crate::fork::Child;
use crate::pidfd;

/// Not passed on, because they are about the process that gets them and nobody else.
const OURS: [Signal; 12] = [
    // The kernel's news about the command, for us to know.
    Signal::SIGCHLD,
    // Stop and continue: the terminal tells every process of the job itself.
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGCONT,
    // A mistake of this very program, for which there is no later: see signal(7).
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGTRAP,
    Signal::SIGSYS,
    Signal::SIGABRT,
];

/// Sent by the terminal to all processes in its foreground, so the command got its own already.
const FROM_THE_KEYBOARD: [Signal; 3] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGWINCH];

/// The caller's signal settings, kept for the command while ours are in force.
struct Callers {
    mask: SigSet,
    sigchld: SigHandler,
}

/// Set by the first fork. What a second one finds, below an init (step 06), is our own.
static CALLERS: OnceLock<Callers> = OnceLock::new();

/// Blocks every signal that is to be passed on; from now on they wait.
pub fn hold() -> anyhow::Result<()> {
    // A caller may have left SIGCHLD ignored, and then the kernel would drop the command's status:
    // see the notes of waitid(2).
    // SAFETY: SIG_DFL is not a function, so there is none that could do harm.
    let sigchld =
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }.context("signal SIGCHLD")?;
    let mask = passed_on().thread_swap_mask(SigmaskHow::SIG_BLOCK).context("sigprocmask")?;
    CALLERS.get_or_init(|| Callers { mask, sigchld });
    Ok(())
}

/// In the child: puts the caller's mask and SIGCHLD back, which the command shall inherit. Not before
/// the exec, because what comes until then would only kill the child, or, as process 1 (step 06), be
/// lost.
pub fn give_back() -> anyhow::Result<()> {
    let Some(callers) = CALLERS.get() else { return Ok(()) };
    // SAFETY: across an execve(2) only "default" and "ignored" survive, so this is no function
    // either.
    unsafe { signal(Signal::SIGCHLD, callers.sigchld) }.context("signal SIGCHLD")?;
    callers.mask.thread_set_mask().context("sigprocmask")
}

/// Which signals these are: all but those that are about the process that gets them.
#[must_use]
pub fn passed_on() -> SigSet {
    let mut set = SigSet::all();
    for signal in OURS {
        set.remove(signal);
    }
    set
}

/// Opens the descriptor from which the waiting signals are read.
pub fn receive() -> anyhow::Result<SignalFd> {
    SignalFd::with_flags(&passed_on(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .context("signalfd")
}

/// Sends on what has arrived.
pub fn pass_on(child: &Child) -> anyhow::Result<()> {
    while let Some(signal) = child.signals.read_signal().context("read a signalfd")? {
        send_on(&signal, child)?;
    }
    Ok(())
}

/// Sends one signal on, unless the child has got it too.
pub fn send_on(signal: &siginfo, child: &Child) -> anyhow::Result<()> {
    if typed_at_the_terminal(signal) {
        return Ok(());
    }
    let number = signal.ssi_signo.cast_signed();
    match pidfd::send_signal(&child.pidfd, number) {
        // It has just ended, or it is set-uid and may not be signalled: the sender could do no more.
        Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno).with_context(|| format!("send signal {number} to the command")),
    }
}

/// Control-C reaches the step and the command alike. Passing it on would give the command a second
/// one, and many programs take the second for "drop everything". What a process sends has another
/// `si_code`, and so has no part in this; SIGHUP of a vanished terminal goes to the session's
/// leader alone.
fn typed_at_the_terminal(info: &siginfo) -> bool {
    info.ssi_code == libc::SI_KERNEL
        && FROM_THE_KEYBOARD.iter().any(|&signal| signal as u32 == info.ssi_signo)
}
