//! Work done in a forked process: it starts, it has a time limit, its result comes back as JSON.

use std::any::Any;
use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Work that another process is doing.
pub struct Pending<T> {
    pid: Pid,
    result: File,
    deadline: Instant,
    waited: bool,
    /// What must outlive the process and be released after it.
    kept: Vec<Box<dyn Any>>,
    kind: PhantomData<T>,
}

/// Forks and lets the child do `work`, for `time_limit` at most.
///
/// Must be called in a process with one thread: the child goes on running Rust code.
pub fn start<T>(time_limit: Duration, work: impl FnOnce() -> Result<T>) -> Result<Pending<T>>
where
    T: Serialize + DeserializeOwned,
{
    io::stdout().flush().ok();
    let (result, answer) = pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
    // SAFETY: by the contract above no other thread holds a lock that the child could wait for.
    match unsafe { fork() }.context("fork")? {
        ForkResult::Child => {
            // Whatever happens to the parent, nothing stays behind.
            let _ = set_pdeathsig(Signal::SIGKILL);
            let done = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|_| Err(anyhow!("the judge panicked")))
                .map_err(|error| format!("{error:#}"));
            let _ = serde_json::to_writer(File::from(answer), &done);
            // Not exit(3): destructors and buffers belong to the parent.
            // SAFETY: _exit has no precondition.
            unsafe { nix::libc::_exit(0) }
        }
        ForkResult::Parent { child } => Ok(Pending {
            pid: child,
            result: result.into(),
            deadline: Instant::now() + time_limit,
            waited: false,
            kept: Vec::new(),
            kind: PhantomData,
        }),
    }
}

impl<T: DeserializeOwned> Pending<T> {
    /// Hands over something that is dropped when the process has ended.
    pub fn keeping(mut self, resource: impl Any) -> Self {
        self.kept.push(Box::new(resource));
        self
    }

    /// Waits for the result, at most until the time limit.
    pub fn finish(mut self) -> Result<T> {
        let mut text = Vec::new();
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut ready = [PollFd::new(self.result.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, timeout) {
                Ok(0) => {
                    self.end();
                    bail!("the time limit ran out");
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).context("poll"),
            }
            let mut chunk = [0; 4096];
            let count = self.result.read(&mut chunk).context("read the result")?;
            if count == 0 {
                break;
            }
            text.extend_from_slice(&chunk[..count]);
        }
        self.end();
        let done: Result<T, String> = serde_json::from_slice(&text)
            .map_err(|_| anyhow!("the judging process was killed before it had a result"))?;
        done.map_err(|message| anyhow!(message))
    }

    /// Becomes readable when there is a result, or when there will be none.
    pub fn wake(&self) -> BorrowedFd<'_> {
        self.result.as_fd()
    }

    /// When the time limit runs out.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl<T> Pending<T> {
    fn end(&mut self) {
        if !self.waited {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
            self.waited = true;
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Forks, does `work` in the child and brings its result back.
pub fn run<T>(work: impl FnOnce() -> Result<T>) -> Result<T>
where
    T: Serialize + DeserializeOwned,
{
    start(Duration::from_secs(10), work)?.finish()
}
