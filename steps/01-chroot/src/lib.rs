//! Step 01: another root directory.
//!
//! One function, [`chroot()`]. From here on `/` means another directory to the command, and the
//! files of the host have no names any more. That is a different view, not yet a wall: a process
//! with privilege climbs out, as the chapter shows, and step 03 is the answer to that.

use std::path::Path;

use anyhow::Context;
use nix::unistd;

/// Makes `rootfs` the root directory of this process and of every child it will have, and the
/// working directory too. See chroot(2); it needs `CAP_SYS_CHROOT`.
pub fn chroot(rootfs: &Path) -> anyhow::Result<()> {
    unistd::chroot(rootfs).with_context(|| format!("chroot to {}", rootfs.display()))?;
    // The kernel stops `..` at the root directory, and nowhere else. The old working directory lies
    // outside of the new root, so from there `..` would lead up to the host's, one step at a time.
    unistd::chdir("/").with_context(|| format!("chdir to the root of {}", rootfs.display()))
}
