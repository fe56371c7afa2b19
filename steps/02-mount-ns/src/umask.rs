//! The caller's umask is for his command, not for what a container is made of.

use nix::sys::stat::{Mode, umask};

/// As long as this lives, files get exactly the mode that is asked for. Then the caller's umask is
/// back.
pub struct NoUmask {
    callers: Mode,
}

impl NoUmask {
    pub fn set() -> NoUmask {
        NoUmask { callers: umask(Mode::empty()) }
    }
}

impl Drop for NoUmask {
    fn drop(&mut self) {
        umask(self.callers);
    }
}
