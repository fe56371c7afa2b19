//! Process 1.
//!
//! The kernel treats the first process of a PID namespace in two ways like the init of a machine.
//! Whoever loses his parent becomes its child, and stays a zombie until it waits for him. And a
//! signal for which it has no handler does nothing to it, not even SIGTERM, so that nobody ends a
//! machine by accident. A program that was not written as an init knows neither. With `--init` the
//! command therefore becomes process 2, below an init that does just these two things.
//!
//! This init is the very program of the host that made the container, and the container can open it
//! as /proc/1/exe. A production runtime uses a copy: see CVE-2019-5736.

use std::convert::Infallible;

use anyhow::Context;
use fork_exec::{Child, exit, fork, passed_on, send_on};
use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Stays process 1 and runs `command` as its child. Ends with the command's status, and with it
/// ends whatever else is running in the namespace.
pub fn init(command: impl FnOnce() -> anyhow::Result<Infallible>) -> anyhow::Result<Infallible> {
    let command = fork(command)?;
    prctl::set_name(c"init").context("prctl PR_SET_NAME")?; // what ps(1) shows
    let signals = signals_and_sigchld()?;
    loop {
        // First, because a child may have ended before SIGCHLD was blocked.
        if let Some(status) = reap(&command)? {
            exit(status);
        }
        match signals.read_signal() {
            Ok(Some(signal)) if signal.ssi_signo != Signal::SIGCHLD as u32 => {
                send_on(&signal, &command)?;
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("read a signalfd"),
        }
    }
}

/// A descriptor that gives the signals for the command, and SIGCHLD, which is for init.
fn signals_and_sigchld() -> anyhow::Result<SignalFd> {
    let mut set = passed_on();
    set.add(Signal::SIGCHLD);
    set.thread_block().context("sigprocmask")?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC).context("signalfd")
}

/// Waits for all children that have ended, its own and those that it inherited; returns the
/// command's status if the command is among them.
fn reap(command: &Child) -> anyhow::Result<Option<u8>> {
    loop {
        let mut status = 0;
        // nix's waitpid has no name for a death by real-time signal, and fails.
        // SAFETY: the kernel writes one int to `status`.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match Errno::result(pid).context("waitpid")? {
            0 => return Ok(None),
            pid if pid == command.pid.as_raw() => return as_a_shell(status).map(Some),
            _ => {}
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
