//! Work that is done among other users.
//!
//! Owners beyond the caller can only be given to files where these have a number: in the user
//! namespace of step 08. So without root images are unpacked, and removed, by a child in there.

use std::io::{Read, Write, pipe};

use anyhow::{Context, anyhow, bail};
use fork_exec::{exit, wait};
use nix::sched::CloneFlags;
use user_ns::Users;

/// Does `work` where these users are: here, or in a child with a user namespace of its own.
///
/// Why the child failed comes through a pipe, so that it is said once, and by us.
pub fn among(users: &Users, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    if let Users::Hosts = users {
        return work();
    }
    let (mut reasons, mut reason) = pipe().context("pipe")?;
    let mut childs_end = reason.try_clone().context("dup a pipe")?;
    let child = users.spawn(CloneFlags::empty(), || {
        if let Err(error) = users.become_root().and_then(|()| work()) {
            // One line is less than a pipe holds.
            let _ = childs_end.write_all(format!("{error:#}").as_bytes());
            exit(125)
        }
        exit(0)
    })?;
    users.map(child.pid())?;
    let status = wait(&child.release()?)?;
    // If the child was killed there is nothing in it; our own end must not keep us waiting.
    reason.flush().context("flush a pipe")?;
    drop((reason, childs_end));
    let mut why = String::new();
    reasons.read_to_string(&mut why).context("read why a child failed")?;
    match (status == std::process::ExitCode::SUCCESS, why.is_empty()) {
        (true, _) => Ok(()),
        (false, false) => Err(anyhow!(why)),
        (false, true) => bail!("work on the store: it was interrupted"),
    }
}
