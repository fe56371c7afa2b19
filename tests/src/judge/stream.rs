//! What the step writes, read without ever waiting longer than we want to.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;

/// More output than this is counted, not kept.
const KEPT: usize = 1 << 20;

/// The reading end of a pipe, never waited for longer than we want to.
pub struct Stream {
    pipe: File,
    kept: Vec<u8>,
    closed: bool,
}

impl Stream {
    /// Takes over the reading end of a pipe.
    pub fn new(pipe: OwnedFd) -> Result<Stream> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("fcntl O_NONBLOCK")?;
        Ok(Stream { pipe: pipe.into(), kept: Vec::new(), closed: false })
    }

    /// What to wait for, unless all that can come has come.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed).then(|| self.pipe.as_fd())
    }

    /// Reads what has been written by now.
    pub fn take_what_is_there(&mut self) -> Result<()> {
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
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("read a standard stream of the step"),
            }
            break;
        }
        Ok(())
    }

    /// Whether nothing can come any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// What has been read and not been taken as a line; it is taken now.
    pub fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.kept)
    }

    /// What the writing end is, as `/proc/PID/fd` shows it.
    pub fn name(&self) -> Result<String> {
        pipe_name(self.pipe.as_fd())
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

    /// Whether within `limit` something comes that has not been read yet, or the end.
    pub fn stirs(&self, limit: Duration) -> Result<bool> {
        let mut wait = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        Ok(poll(&mut wait, timeout).context("poll a standard stream of the step")? > 0)
    }

    /// What has been read and not yet been taken as a line.
    pub fn rest(&mut self) -> Result<String> {
        self.take_what_is_there()?;
        Ok(String::from_utf8_lossy(&self.kept).into_owned())
    }
}

/// A pipe as `/proc/PID/fd` shows it, at both of its ends.
pub fn pipe_name(fd: BorrowedFd) -> Result<String> {
    Ok(format!("pipe:[{}]", fstat(fd).context("fstat a pipe")?.st_ino))
}

/// Waits until one of the pipes has something to read, or `limit` is over.
pub fn wait_for(pipes: [Option<BorrowedFd>; 2], limit: Duration) -> Result<()> {
    let mut wait: Vec<PollFd> =
        pipes.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    poll(&mut wait, timeout).context("poll the standard streams of the step")?;
    Ok(())
}
