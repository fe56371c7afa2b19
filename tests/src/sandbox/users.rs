//! Root inside for an ordinary user.

use std::fs;

use anyhow::{Context, Result};
use caps::{CapSet, Capability};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// Whether this process lacks the privilege to make the other namespaces by itself.
pub fn needs_user_namespace() -> Result<bool> {
    let has = caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN)
        .context("capget of this process")?;
    Ok(!has)
}

/// Makes a user namespace in which the caller is root, and nobody else exists (`user_namespaces(7)`).
pub fn become_root() -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).context(
        "unshare the user namespace (an ordinary user needs one; `cargo workshop doctor` says what forbids it)",
    )?;
    // Without privilege outside, a group map is only accepted once setgroups is given up.
    fs::write("/proc/self/setgroups", "deny").context("write deny to /proc/self/setgroups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("write /proc/self/uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("write /proc/self/gid_map")
}
