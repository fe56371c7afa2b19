//! A directory that goes with its maker: he removes it in the end, or, where he was killed before
//! he could, the next one who comes by.
//!
//! The maker holds a lock on it. The kernel gives that up with his last process (`flock(2)`), so
//! what can be locked is abandoned: no age and no process number needs to be guessed from.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

use crate::patience::patience;

/// How the names of all of them begin.
const PREFIX: &str = "cooperage-";

/// After what time a directory that is busy is tried again.
const PAUSE: Duration = Duration::from_millis(2);

/// How a directory is removed, with all that it then holds.
type Remove = fn(&Path) -> io::Result<()>;

/// A directory of ours.
pub struct Lease {
    path: PathBuf,
    remove: Remove,
    /// Held as long as this process lives, or one that it has forked.
    _lock: Flock<File>,
}

impl Lease {
    /// Makes a directory below `parent`, which `remove` will remove.
    pub fn take(parent: &Path, remove: Remove) -> io::Result<Lease> {
        clear_away_abandoned(parent, remove);
        loop {
            let word: String = std::iter::repeat_with(fastrand::lowercase).take(8).collect();
            let path = parent.join(format!("{PREFIX}{word}"));
            fs::DirBuilder::new().mode(0o700).create(&path)?;
            let lock = lock(&path)?;
            // Between the two somebody may have cleared it away, as abandoned.
            if let Some(lock) = lock.filter(|_| path.exists()) {
                return Ok(Lease { path, remove, _lock: lock });
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let deadline = Instant::now() + patience();
        while let Err(error) = (self.remove)(&self.path) {
            // The last process in a control group may still be dying.
            if error.kind() != ErrorKind::ResourceBusy || Instant::now() >= deadline {
                break;
            }
            sleep(PAUSE);
        }
    }
}

/// Removes a directory of files. The kernel leaves directories of mode 0 in an overlay's `work`,
/// and a program may do so anywhere; an ordinary user cannot list them.
pub fn remove_files(dir: &Path) -> io::Result<()> {
    open_up(dir);
    fs::remove_dir_all(dir)
}

fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, PermissionsExt::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

fn clear_away_abandoned(parent: &Path, remove: Remove) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|dir| dir.uid() == geteuid().as_raw());
        if ours && let Ok(Some(_lock)) = lock(&entry.path()) {
            // What is busy is left to the one after us.
            let _ = remove(&entry.path());
        }
    }
}

/// Locks a directory; `None` if somebody else has.
fn lock(dir: &Path) -> io::Result<Option<Flock<File>>> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let file = match File::options().read(true).custom_flags(flags).open(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{Lease, PREFIX, remove_files};

    #[test]
    fn what_is_held_stays_and_what_was_abandoned_goes() {
        let parent = tempfile::tempdir().unwrap();
        let abandoned = parent.path().join(format!("{PREFIX}abandoned"));
        fs::create_dir_all(abandoned.join("locked/away")).unwrap();
        fs::set_permissions(abandoned.join("locked"), PermissionsExt::from_mode(0o000)).unwrap();
        fs::create_dir(parent.path().join("somebody-elses")).unwrap();

        let one = Lease::take(parent.path(), remove_files).unwrap();
        assert!(!abandoned.exists());
        let other = Lease::take(parent.path(), remove_files).unwrap();
        assert!(one.path().exists() && other.path().exists());
        drop((one, other));
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
