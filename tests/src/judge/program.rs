//! Starting the program under test, its standard streams, and its end.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal::{SIGKILL, SIGSTOP};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal, sigprocmask};
use nix::sys::stat::fstat;
use nix::unistd::Pid;

use super::trial::Trial;
use super::verdict::{Broken, Held, broken};

/// How long a thing may take that should happen at once. Only a broken program ever takes that long,
/// or a right one on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// More output than this is counted, not kept.
const KEPT: usize = 1 << 20;

/// One start of the step, in preparation.
#[must_use]
pub struct Start<'t> {
    trial: &'t Trial<'t>,
    program: PathBuf,
    prefix: &'t [OsString],
    options: Vec<OsString>,
    rootfs: Option<PathBuf>,
    command: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    blocked: SigSet,
    ignored: Vec<Signal>,
}

impl<'t> Start<'t> {
    /// The step with the trial's root file system, if it takes one, and no command yet.
    pub fn new(trial: &'t Trial<'t>) -> Start<'t> {
        Start {
            trial,
            program: trial.subject.program.clone(),
            prefix: &trial.subject.prefix,
            options: Vec::new(),
            rootfs: trial.takes_rootfs().then(|| trial.rootfs.clone()),
            command: Vec::new(),
            environment: Vec::new(),
            blocked: SigSet::empty(),
            ignored: Vec::new(),
        }
    }

    /// The trial that this start belongs to.
    pub fn trial(&self) -> &'t Trial<'t> {
        self.trial
    }

    /// No step at all: the command itself, as a process of the host.
    pub fn on_the_host(mut self, command: &Path) -> Self {
        (self.program, self.prefix, self.rootfs) = (command.to_owned(), &[], None);
        self
    }

    /// Options of the step, before the root file system.
    pub fn options<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.options.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Another root file system.
    pub fn rootfs(mut self, path: impl Into<PathBuf>) -> Self {
        self.rootfs = Some(path.into());
        self
    }

    /// No argument at all.
    pub fn without_arguments(mut self) -> Self {
        self.rootfs = None;
        self
    }

    /// The command and its arguments.
    pub fn command<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.command = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// One variable of the caller's environment.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// A signal that the caller has blocked.
    pub fn blocking(mut self, signal: Signal) -> Self {
        self.blocked.add(signal);
        self
    }

    /// A signal that the caller ignores.
    pub fn ignoring(mut self, signal: Signal) -> Self {
        self.ignored.push(signal);
        self
    }

    /// Starts it.
    pub fn spawn(self) -> Result<Run> {
        let mut command = self.trial.host.command(&self.program);
        command.args(self.prefix).args(&self.options).args(&self.rootfs).args(&self.command);
        command.envs(self.environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (blocked, ignored) = (self.blocked, self.ignored);
        let inherit = move || {
            // Whatever started the grader may ignore some itself, as a shell does for its background.
            for each in Signal::iterator().filter(|each| ![SIGKILL, SIGSTOP].contains(each)) {
                let is_ignored = ignored.contains(&each);
                let handler = if is_ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
                // SAFETY: neither is a handler, so there is nothing that could be unsound.
                unsafe { signal(each, handler) }?;
            }
            Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None)?)
        };
        // SAFETY: `inherit` does system calls only.
        unsafe { command.pre_exec(inherit) };
        let mut child =
            command.spawn().with_context(|| format!("start {}", self.program.display()))?;
        let stdin = child.stdin.take();
        let stdout = Stream::new(child.stdout.take().context("stdout")?.into())?;
        let stderr = Stream::new(child.stderr.take().context("stderr")?.into())?;
        Ok(Run { child, stdin, stdout, stderr })
    }

    /// Starts it with an empty standard input and waits for its end, which must come.
    pub fn finish(self) -> Result<Ending, Broken> {
        let mut run = self.spawn()?;
        run.close_stdin();
        run.end(PATIENCE * 2).or_else(|error| broken("the step ends", format!("{error:#}")))
    }
}

/// One run of the step.
pub struct Run {
    child: Child,
    stdin: Option<ChildStdin>,
    pub stdout: Stream,
    pub stderr: Stream,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ending {
    /// The exit status, as a shell reports it: 128+N after death by signal N.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Run {
    /// The process id of the step, outside.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// What descriptors 0, 1 and 2 of the step are, as `/proc/PID/fd` shows them.
    pub fn pipes(&self) -> Result<[(i32, String); 3]> {
        let stdin = self.stdin.as_ref().context("standard input was closed before")?;
        let name = |fd: BorrowedFd| -> Result<String> {
            Ok(format!("pipe:[{}]", fstat(fd).context("fstat a pipe")?.st_ino))
        };
        Ok([
            (0, name(stdin.as_fd())?),
            (1, name(self.stdout.pipe.as_fd())?),
            (2, name(self.stderr.pipe.as_fd())?),
        ])
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
            if line.is_some() || ended || self.stdout.closed || Instant::now() >= deadline {
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
                    stdout: std::mem::take(&mut self.stdout.kept),
                    stderr: std::mem::take(&mut self.stderr.kept),
                });
            }
            if Instant::now() >= deadline {
                bail!("{} s after it should have ended the step still runs", limit.as_secs());
            }
            wait_for([self.stdout.as_fd(), self.stderr.as_fd()], Duration::from_millis(2))?;
        }
    }
}

/// An exit status in one number: 128+N after death by signal N.
pub fn as_a_shell_says(status: ExitStatus) -> i32 {
    // What has been waited for has exited, or was killed.
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The reading end of a pipe, never waited for longer than we want to.
pub struct Stream {
    pipe: File,
    kept: Vec<u8>,
    closed: bool,
}

impl Stream {
    fn new(pipe: OwnedFd) -> Result<Stream> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("fcntl O_NONBLOCK")?;
        Ok(Stream { pipe: pipe.into(), kept: Vec::new(), closed: false })
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed).then(|| self.pipe.as_fd())
    }

    fn take_what_is_there(&mut self) -> Result<()> {
        let mut chunk = [0; 1 << 14];
        // A program that never stops writing must not keep us here: at most 4 MiB at a time.
        for _ in 0..256 {
            match self.pipe.read(&mut chunk) {
                Ok(0) => self.closed = true,
                Ok(count) => {
                    let room = KEPT - self.kept.len().min(KEPT);
                    self.kept.extend_from_slice(&chunk[..count.min(room)]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("read a standard stream of the step"),
            }
            break;
        }
        Ok(())
    }

    /// The next line, or `None` when there is none within `limit`.
    pub fn line(&mut self, limit: Duration) -> Result<Option<String>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.kept.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.kept.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if self.closed || left.is_zero() {
                return Ok(None);
            }
            wait_for([self.as_fd(), None], left)?;
            self.take_what_is_there()?;
        }
    }

    /// What has been read and not yet been taken as a line.
    pub fn rest(&mut self) -> Result<String> {
        self.take_what_is_there()?;
        Ok(String::from_utf8_lossy(&self.kept).into_owned())
    }
}

/// Waits until one of the pipes has something to read, or `limit` is over.
fn wait_for(pipes: [Option<BorrowedFd>; 2], limit: Duration) -> Result<()> {
    let mut wait: Vec<PollFd> =
        pipes.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    poll(&mut wait, timeout).context("poll the standard streams of the step")?;
    Ok(())
}
