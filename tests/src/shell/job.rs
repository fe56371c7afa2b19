//! The command as a job of the terminal, as a shell would start it.
//!
//! The terminal sends Ctrl-C and Ctrl-Z to one process group, its foreground. Ours has its first
//! process outside of the sandbox, where it has no number: shells inside cannot deal with it. So
//! the command gets a group of its own and the foreground, and we do what a shell does: stop when
//! it stops, and let it go on when we are let go on (`credentials(7)`, `tcsetpgrp(3)`).

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, getpid, setpgid, tcgetpgrp, tcsetpgrp};

/// The terminal, while we have it.
pub struct Terminal {
    file: File,
    /// Our own process group.
    ours: Pid,
}

impl Terminal {
    /// The caller's, if a person sits there and types for us. In a pipeline the foreground is
    /// shared with others, who may need it.
    pub fn of_caller() -> Option<Terminal> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let terminal = Terminal { file: File::open("/dev/tty").ok()?, ours: getpgrp() };
        Some(terminal).filter(Terminal::is_ours)
    }

    fn is_ours(&self) -> bool {
        tcgetpgrp(&self.file) == Ok(self.ours)
    }

    /// Lets `command` begin in a process group of its own, in the foreground.
    pub fn hand_to(&self, command: &mut Command) -> io::Result<()> {
        let file = self.file.try_clone()?;
        let take = move || {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
            Ok(set_foreground(&file, getpid())?)
        };
        // SAFETY: `take` does system calls only.
        unsafe { command.pre_exec(take) };
        Ok(())
    }

    /// Waits for the end of the command; whenever it stops, so do we.
    pub fn wait(&self, command: &Child) -> nix::Result<i32> {
        let group = Pid::from_raw(command.id().cast_signed());
        loop {
            match waitpid(group, Some(WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(code),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
                Ok(WaitStatus::Stopped(..)) => self.stop_with(group)?,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn stop_with(&self, group: Pid) -> nix::Result<()> {
        self.take_back();
        // All of our group, as Ctrl-Z does; returns when somebody continues it.
        kill(Pid::from_raw(0), Signal::SIGTSTP)?;
        if self.is_ours() {
            set_foreground(&self.file, group)?;
        }
        killpg(group, Signal::SIGCONT)
    }

    /// Makes our group the foreground again.
    pub fn take_back(&self) {
        // If that fails, the terminal is gone.
        let _ = set_foreground(&self.file, self.ours);
    }
}

/// Who is in the background is stopped when he does this, unless he blocks the signal.
fn set_foreground(terminal: &File, group: Pid) -> nix::Result<()> {
    let (stop, mut before) = (SigSet::from(Signal::SIGTTOU), SigSet::empty());
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&stop), Some(&mut before))?;
    let done = tcsetpgrp(terminal, group);
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    done
}
