//! The mount namespace, and what comes into it and out of it.

use anyhow::Context;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Moves this process into a mount namespace of its own, and cuts the ties to the one it comes
/// from.
pub fn private_mounts() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("unshare the mount namespace")?;
    // The new namespace is a copy, and the copy of a shared mount is shared with the original:
    // whatever is mounted on either side appears on both (mount_namespaces(7), "Shared subtrees").
    // The kernel's default is private, but systemd makes `/` and everything below it shared, and so
    // does nearly every host. MS_SLAVE would only close the way out: the host's later mounts would
    // still come in.
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("make every mount private")
}
