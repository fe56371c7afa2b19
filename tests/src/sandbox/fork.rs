//! Work done in a forked process: it starts, it has a time limit, its result comes back as JSON.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::interrupt;
use crate::patience::stretched;

/// Work that another process is doing. When this is dropped the process is killed.
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
    let parent = getpid();
    // SAFETY: by the contract above no other thread holds a lock that the child could wait for.
    match unsafe { fork() }.context("fork")? {
        ForkResult::Child => {
            die_with(parent);
            let done = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|_| Err(anyhow!("the judge panicked")))
                .map_err(|error| format!("{error:#}"));
            // In one piece: the parent wakes up whenever something comes.
            let done = serde_json::to_vec(&done).unwrap_or_default();
            let _ = File::from(answer).write_all(&done);
            exit_at_once()
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

/// Whatever happens to the parent, nothing stays behind (`PR_SET_PDEATHSIG(2const)`).
fn die_with(parent: Pid) {
    let _ = set_pdeathsig(Signal::SIGKILL);
    // It may have died before the call. In a new process-id namespace it has no number.
    let now = getppid();
    if now != parent && now.as_raw() != 0 {
        exit_at_once();
    }
}

/// Not `exit(3)`: destructors and buffers belong to the parent.
fn exit_at_once() -> ! {
    // SAFETY: _exit has no precondition.
    unsafe { libc::_exit(0) }
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
            first_ready(&[&self])?;
            if self.is_late() {
                bail!("the time limit ran out");
            }
            let mut chunk = [0; 4096];
            match self.result.read(&mut chunk).context("read the result")? {
                0 => break,
                count => text.extend_from_slice(&chunk[..count]),
            }
        }
        self.end();
        let done: Result<T, String> = serde_json::from_slice(&text)
            .map_err(|_| anyhow!("the judging process was killed before it had a result"))?;
        done.map_err(|message| anyhow!(message))
    }
}

impl<T> Pending<T> {
    fn is_late(&self) -> bool {
        self.deadline <= Instant::now()
    }

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

/// Waits until one of them has a result, or will have none, or has used up its time, and returns
/// which. Fails when the user wants us to stop.
pub fn first_ready<T>(pending: &[&Pending<T>]) -> Result<usize> {
    loop {
        interrupt::check()?;
        if let Some(late) = pending.iter().position(|one| one.is_late()) {
            return Ok(late);
        }
        let nearest = pending.iter().map(|one| one.deadline).min().context("wait for nothing")?;
        let left = nearest.saturating_duration_since(Instant::now());
        let fds = pending.iter().map(|one| one.result.as_fd()).chain(interrupt::wake());
        let mut wait: Vec<PollFd> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut wait, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("poll"),
        }
        let ready = |fd: &PollFd| fd.revents().is_some_and(|events| !events.is_empty());
        if let Some(index) = wait.iter().take(pending.len()).position(ready) {
            return Ok(index);
        }
    }
}

/// Forks, does `work` in the child and brings its result back.
pub fn run<T>(work: impl FnOnce() -> Result<T>) -> Result<T>
where
    T: Serialize + DeserializeOwned,
{
    start(stretched(Duration::from_secs(10)), work)?.finish()
}

/// Whether the kernel does something, tried in a child that ends at once; its reason, if not.
///
/// That depends on its version, its configuration, sysctls, security modules and filters. Nothing
/// tells it as surely as asking the kernel to do it.
pub fn attempt(trial: impl FnOnce() -> Result<()>) -> nix::Result<()> {
    let number = |error: Error| errno_of(&error).unwrap_or(Errno::EIO) as i32;
    match run(|| Ok(trial().map_err(number))) {
        Ok(tried) => tried.map_err(Errno::from_raw),
        // Some filters kill where others refuse: it comes to the same.
        Err(error) => Err(errno_of(&error).unwrap_or(Errno::EPERM)),
    }
}

/// The kernel's reason in an error.
fn errno_of(error: &Error) -> Option<Errno> {
    let io = || Some(Errno::from_raw(error.downcast_ref::<io::Error>()?.raw_os_error()?));
    error.downcast_ref::<Errno>().copied().or_else(io)
}
