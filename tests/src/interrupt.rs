//! Ctrl-C and its like, as something that is waited for: what was made is put away before the end.
//!
//! The signals are blocked, and a descriptor becomes readable when one has come (`signalfd(2)`).
//! Whoever waits for something waits for it too, and fails when it does; on the way out everything
//! is dropped, which ends processes and removes what was made.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};

/// What asks a program to stop.
const SIGNALS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// Whose Ctrl-C it is. The terminal sends the signal to all of its foreground, us among them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keyboard {
    /// It ends us.
    Ours,
    /// What runs inside of the sandbox gets it and decides; we go on.
    Inside,
}

/// The signals, held back.
struct Held {
    wake: SignalFd,
    keyboard: Keyboard,
    /// The mask of the caller, for the programs that we start.
    before: SigSet,
}

static HELD: OnceLock<Held> = OnceLock::new();

/// The number of the signal that has come; it is never forgotten again.
static TAKEN: AtomicI32 = AtomicI32::new(0);

/// From now on the signals wait to be asked for. To be called once, before there are threads.
///
/// What the caller ignores, as nohup(1) does, the kernel discards all the same.
pub fn hold(keyboard: Keyboard) -> Result<()> {
    let signals = SigSet::from_iter(SIGNALS);
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), Some(&mut before)).context("sigprocmask")?;
    let wake = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .context("signalfd")?;
    let _ = HELD.set(Held { wake, keyboard, before });
    Ok(())
}

/// Becomes readable when a signal has come.
pub fn wake() -> Option<BorrowedFd<'static>> {
    HELD.get().map(|held| held.wake.as_fd())
}

/// Fails if a signal has come.
pub fn check() -> Result<()> {
    match taken() {
        Some(number) => bail!("stopped by signal {number}"),
        None => Ok(()),
    }
}

/// The number of the signal that asked us to stop, if one did.
pub fn taken() -> Option<i32> {
    let held = HELD.get()?;
    while let Ok(Some(signal)) = held.wake.read_signal() {
        if held.keyboard == Keyboard::Ours || !is_from_the_keyboard(&signal) {
            TAKEN.store(signal.ssi_signo.cast_signed(), Ordering::Relaxed);
        }
    }
    Some(TAKEN.load(Ordering::Relaxed)).filter(|number| *number != 0)
}

/// The terminal's own signals come from the kernel; a process sends with `kill(2)`.
fn is_from_the_keyboard(signal: &siginfo) -> bool {
    let keys = [libc::SIGINT, libc::SIGQUIT];
    signal.ssi_code == libc::SI_KERNEL && keys.contains(&signal.ssi_signo.cast_signed())
}

/// Lets `command` start with the signal mask that our caller gave us.
pub fn give_back(command: &mut Command) {
    let Some(held) = HELD.get() else { return };
    let give_back = || sigprocmask(SigmaskHow::SIG_SETMASK, Some(&held.before), None);
    // SAFETY: `give_back` does one system call, and allocates nothing.
    unsafe { command.pre_exec(move || give_back().map_err(io::Error::from)) };
}
