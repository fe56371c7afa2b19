//! A directory that goes with its maker, even if he was killed.
//!
//! A group has no process id and no name of its maker in it, and a killed step leaves it behind,
//! empty. How shall the next one know that nobody needs it any more? The maker holds a lock on the
//! directory, and the kernel takes the lock back with the maker's last breath (flock(2)). So a
//! directory of ours that can be locked is abandoned. No file has to be kept, no age to be guessed.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::geteuid;

/// How the names of all groups of ours begin.
const PREFIX: &str = "cooper-";

/// How long a group that is busy is tried again.
const PATIENCE: Duration = Duration::from_millis(200);

/// A name that no other group has, by which a later step knows it as one of ours.
pub fn new_name() -> anyhow::Result<String> {
    let source = "/proc/sys/kernel/random/uuid";
    let uuid = fs::read_to_string(source).with_context(|| format!("read {source}"))?;
    Ok(format!("{PREFIX}{}", uuid.trim()))
}

/// A group's directory, which is removed with this value.
pub struct Directory {
    path: PathBuf,
    /// The kernel gives it up when this process ends, however it ends.
    _lock: Flock<File>,
}

impl Directory {
    /// Makes the directory `name` below `parent`, and clears away what was abandoned there.
    pub fn make(parent: &Path, name: &str) -> io::Result<Directory> {
        clear_away_abandoned(parent);
        let path = parent.join(name);
        loop {
            // Whatever the caller's umask: others may look into it, as into every group.
            match DirBuilder::new().mode(0o755).create(&path) {
                // Made by us a moment ago, and cleared away by now, or nearly: see below.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => made?,
            }
            // Between the two somebody may have found it without a lock: we wait until he has
            // cleared it away, and make it again.
            if let Some(lock) = lock(&path, FlockArg::LockExclusive)?.filter(|_| path.exists()) {
                return Ok(Directory { path, _lock: lock });
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = remove(&self.path) {
            // Somebody else has put a process into it, which goes on running. It is left to the
            // next step that comes by.
            if error.kind() != ErrorKind::ResourceBusy || Instant::now() > deadline {
                break;
            }
            wait_for_the_last(&self.path);
        }
    }
}

/// Waits for the last process, which has ended already and may not have left. Version 2 tells by a
/// change of `cgroup.events`; version 1 has nothing that one could wait on.
fn wait_for_the_last(group: &Path) {
    let moment = Duration::from_millis(1);
    let Ok(mut events) = File::open(group.join("cgroup.events")) else { return sleep(moment) };
    // What is reported is a change since the last read.
    let mut text = String::new();
    let is_populated =
        events.read_to_string(&mut text).is_ok() && text.lines().any(|line| line == "populated 1");
    if is_populated {
        let mut wait = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        let _ = poll(&mut wait, PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::ZERO));
    } else {
        sleep(moment);
    }
}

/// Removes a group, with those that the container has made beneath it. (Their files cannot be
/// removed; they go with the directory.)
fn remove(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

fn clear_away_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|group| group.uid() == geteuid().as_raw());
        if is_ours && let Ok(Some(_lock)) = lock(&entry.path(), FlockArg::LockExclusiveNonblock) {
            // If its last process is still dying it is left to the next one.
            let _ = remove(&entry.path());
        }
    }
}

/// Locks a directory; `None` if it has gone, or if somebody else has the lock and we are not to wait.
fn lock(directory: &Path, how: FlockArg) -> io::Result<Option<Flock<File>>> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let file = match File::options().read(true).custom_flags(flags.bits()).open(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}
