//! One run of the step: its standard streams, its signals, its end.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::stream::{Stream, pipe_name, wait_for};
use super::verdict::{Held, broken};
use crate::patience::stretched;

/// One run of the step.
pub struct Run {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Its standard output.
    pub stdout: Stream,
    /// Its standard error.
    pub stderr: Stream,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ending {
    /// The exit status, as a shell reports it: 128+N after death by signal N.
    pub status: i32,
    /// What it wrote to standard output, as far as nobody has read it before.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl Run {
    /// Takes over a process whose standard streams are pipes, but for standard error perhaps.
    pub fn of(mut child: Child) -> Result<Run> {
        let stdin = child.stdin.take();
        let stdout = Stream::new(child.stdout.take().context("stdout is no pipe")?.into())?;
        // Where it goes elsewhere nothing comes of it: a pipe that nobody writes to.
        let nothing = || Ok::<_, io::Error>(io::pipe()?.0.into());
        let stderr = child.stderr.take().map_or_else(nothing, |stderr| Ok(stderr.into()));
        let stderr = Stream::new(stderr.context("make a pipe")?)?;
        Ok(Run { child, stdin, stdout, stderr })
    }

    /// The process id of the step, outside.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// What descriptors 0, 1 and 2 of the step are, as `/proc/PID/fd` shows them.
    pub fn pipes(&self) -> Result<[(i32, String); 3]> {
        let stdin = self.stdin.as_ref().context("standard input was closed before")?;
        Ok([(0, pipe_name(stdin.as_fd())?), (1, self.stdout.name()?), (2, self.stderr.name()?)])
    }

    /// Writes to the standard input of the step.
    pub fn write_line(&mut self, line: &str) -> Result<()> {
        let Some(stdin) = &mut self.stdin else { bail!("standard input was closed before") };
        // Nobody may be reading; what comes back, or does not, is what counts.
        let _ = stdin.write_all(format!("{line}\n").as_bytes());
        Ok(())
    }

    /// The first line on standard output; `None` when none comes within `limit`, or when the step
    /// ends without one, even if something that it left behind still holds the pipe.
    pub fn first_line(&mut self, limit: Duration) -> Result<Option<String>> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait().context("wait for the step")?.is_some();
            let line = self.stdout.line(Duration::from_millis(20))?;
            if line.is_some() || ended || self.stdout.is_closed() || Instant::now() >= deadline {
                return Ok(line);
            }
        }
    }

    /// Closes the standard input of the step.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal to the step, which must still be there: its command is.
    pub fn signal(&mut self, signal: Signal) -> Held {
        if let Some(status) = self.child.try_wait().context("wait for the step")? {
            let shown = format!("it has ended with status {}", as_a_shell_says(status));
            return broken("the step runs as long as its command", shown);
        }
        if signal != Signal::SIGKILL {
            // The step may still be on its way from the fork to its own handlers.
            sleep(stretched(Duration::from_millis(50)));
        }
        Ok(kill(self.pid(), signal).with_context(|| format!("send {signal} to the step"))?)
    }

    /// Waits for the end of the step, reading what it writes.
    pub fn end(&mut self, limit: Duration) -> Result<Ending> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait().context("wait for the step")?;
            self.stdout.take_what_is_there()?;
            self.stderr.take_what_is_there()?;
            if let Some(status) = ended {
                return Ok(Ending {
                    status: as_a_shell_says(status),
                    stdout: self.stdout.take(),
                    stderr: self.stderr.take(),
                });
            }
            if Instant::now() >= deadline {
                bail!("{} s after it should have ended the step still runs", limit.as_secs());
            }
            wait_for([self.stdout.as_fd(), self.stderr.as_fd()], Duration::from_millis(2))?;
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An exit status in one number: 128+N after death by signal N.
pub fn as_a_shell_says(status: ExitStatus) -> i32 {
    // What has been waited for has exited, or was killed.
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
