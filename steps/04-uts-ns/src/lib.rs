//! Step 04: a host name of its own.
//!
//! The kernel keeps two names per UTS namespace: the host name and the NIS domain name, both of
//! which uname(2) reports. (UTS is the "UNIX Time-sharing System" of that call's `struct utsname`.)
//! A process with a UTS namespace of its own may call itself what it likes, and nobody else learns
//! of it: the smallest namespace there is.
//!
//! One function, [`own_host_name`], and its option, [`UtsOptions`].

use anyhow::Context;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::sethostname;

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct UtsOptions {
    /// The container's host name, at most 64 bytes; the host's if there is none
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
}

/// Moves this process into a UTS namespace of its own, which starts as a copy of the host's, and
/// sets the name in it, if there is one to set.
pub fn own_host_name(hostname: Option<&str>) -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWUTS).context("unshare the UTS namespace")?;
    let Some(name) = hostname else { return Ok(()) };
    // EINVAL: the name is longer than __NEW_UTS_LEN of linux/utsname.h, see sethostname(2).
    sethostname(name).with_context(|| format!("sethostname to '{name}' (64 bytes at most)"))
}
