//! Holds whoever opens a certain file, until we let him go on.
//!
//! So an order can be seen that otherwise nobody sees: what has to wait for him stands still, and
//! what does not goes on without him. The kernel asks us by `FAN_OPEN_PERM` (`fanotify(7)`) and
//! lets the process sleep until we have answered, whatever program it runs.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, readlinkat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::fanotify::{
    EventFFlags, Fanotify, FanotifyEvent, FanotifyResponse, InitFlags, MarkFlags, MaskFlags,
    Response,
};

use super::trial::Trial;
use super::verdict::Broken;

/// A file that nobody opens without our leave. When this is dropped everybody may go on.
///
/// Meanwhile the judge itself must open nothing on that mount: he would wait for his own answer.
pub struct Gate<'t> {
    trial: &'t Trial<'t>,
    /// The end of the paths that are held.
    name: &'static str,
    fanotify: Fanotify,
    held: RefCell<Vec<FanotifyEvent>>,
}

impl<'t> Gate<'t> {
    /// From now on holds who opens a file of this name, anywhere on the mount that `place` is on.
    pub fn close(trial: &'t Trial, place: &Path, name: &'static str) -> Result<Gate<'t>, Broken> {
        let flags = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK;
        let fanotify = match Fanotify::init(flags, EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC) {
            Err(Errno::EPERM) => {
                let reason = "only root may hold a process that opens a file (fanotify_init(2))";
                return Err(Broken::Unsupported(reason.into()));
            }
            Err(Errno::ENOSYS | Errno::EINVAL) => {
                let reason = "this kernel asks nobody before a file is opened \
                              (CONFIG_FANOTIFY_ACCESS_PERMISSIONS)";
                return Err(Broken::Unsupported(reason.into()));
            }
            fanotify => fanotify.context("fanotify_init")?,
        };
        let mark = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_MOUNT;
        fanotify
            .mark(mark, MaskFlags::FAN_OPEN_PERM, AT_FDCWD, Some(place))
            .with_context(|| format!("fanotify_mark {}", place.display()))?;
        Ok(Gate { trial, name, fanotify, held: RefCell::default() })
    }

    /// Whether somebody stands at the gate within `limit`. Who opens another file passes.
    pub fn holds_somebody(&self, limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut wait = [PollFd::new(self.fanotify.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            if poll(&mut wait, timeout).context("poll a fanotify group")? > 0 {
                self.answer()?;
            }
            if !self.held.borrow().is_empty() || left.is_zero() {
                return Ok(!self.held.borrow().is_empty());
            }
        }
    }

    fn answer(&self) -> Result<()> {
        for event in self.fanotify.read_events().context("read fanotify events")? {
            let Some(fd) = event.fd() else { continue };
            let link = format!("self/fd/{}", fd.as_raw_fd());
            let path = readlinkat(&self.trial.host.outer_proc, link.as_str())
                .context("read the path of an event")?;
            if Path::new(&path).ends_with(self.name) {
                self.held.borrow_mut().push(event);
            } else {
                let answer = FanotifyResponse::new(fd, Response::FAN_ALLOW);
                self.fanotify.write_response(answer).context("answer a fanotify event")?;
            }
        }
        Ok(())
    }
}
