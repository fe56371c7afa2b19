//! Process 1.
//!
//! The kernel treats the first process of a PID namespace in two ways like the init of a machine.
//! Whoever loses his parent becomes its child, and stays a zombie until it waits for him. And a
//! signal for which it has no handler does nothing to it, not even SIGTERM, so that nobody ends a
//! machine by accident. A program that was not written as an init knows neither. With `--init` the
//! command therefore becomes process 2, below an init that does just these two things.

use std::convert::Infallible;

use anyhow::Context;
use fork_exec::{Child, exit, fork, typed_at_the_terminal};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Stays process 1 and runs `command` as its child. Ends with the command's status, and with it
/// ends whatever else is running in the namespace.
pub fn init(
    command: impl FnOnce() -> anyhow::Result<Infallible>,
) -> anyhow::Result<Infallible> {
    let command = fork(command)?;
    // SIGCHLD too: from here on every signal is read below, and none interrupts.
    let all = SigSet::all();
    all.thread_block().context("sigprocmask")?;
    let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC).context("signalfd")?;
    loop {
        // First, because a child may have ended before SIGCHLD was blocked.
        if let Some(status) = reap(&command)? {
            exit(status);
        }
        match signals.read_signal() {
            Ok(Some(signal)) if !typed_at_the_terminal(&signal) => {
                pass_on(&command, signal.ssi_signo.cast_signed())?;
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("read a signalfd"),
        }
    }
}

/// Waits for all children that have ended, its own and those that it inherited; returns the
/// command's status if the command is among them.
fn reap(command: &Child) -> anyhow::Result<Option<u8>> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one int to `status`. (nix's waitpid has no name for a death by
        // real-time signal and fails.)
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match Errno::result(pid) {
            // None has ended, or there is none.
            Ok(0) | Err(Errno::ECHILD) => return Ok(None),
            Ok(pid) if pid == command.pid.as_raw() => return as_a_shell(status).map(Some),
            Ok(_) => {}
            Err(errno) => return Err(errno).context("waitpid"),
        }
    }
}

/// The exit code, or 128+N if signal N killed it: see wait(2) for the macros.
fn as_a_shell(status: libc::c_int) -> anyhow::Result<u8> {
    let status = if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        128 + libc::WTERMSIG(status)
    };
    u8::try_from(status).context("waitpid")
}

fn pass_on(command: &Child, signal: libc::c_int) -> anyhow::Result<()> {
    if signal == libc::SIGCHLD {
        return Ok(());
    }
    // SAFETY: kill(2) takes two numbers. The command has not been waited for, so its number is
    // still its own.
    match Errno::result(unsafe { libc::kill(command.pid.as_raw(), signal) }) {
        Ok(_) | Err(Errno::ESRCH | Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno).with_context(|| format!("send signal {signal} to the command")),
    }
}
