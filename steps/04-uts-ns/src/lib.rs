//! Step 04: a host name of its own.
//!
//! The kernel keeps two names per UTS namespace: the host name and the NIS domain name, both of
//! which uname(2) reports. (UTS is the "UNIX Time-sharing System" of that call's `struct utsname`.)
//! A process with a UTS namespace of its own may call itself what it likes, and nobody else learns
//! of it: the smallest namespace there is.
//!
//! One function, [`own_host_name`], and its option, [`UtsOptions`].

use std::ffi::{OsStr, OsString};

use anyhow::Context;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::sethostname;

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct UtsOptions {
    /// The container's host name, at most 64 bytes; without it the name is the host's
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<OsString>,
}

/// Moves this process into a UTS namespace of its own, which starts as a copy of the host's, and
/// sets the name in it, if there is one to set.
pub fn own_host_name(hostname: Option<&OsStr>) -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWUTS).context("unshare the UTS namespace")?;
    let Some(name) = hostname else { return Ok(()) };
    sethostname(name).map_err(|errno| explain(name, errno))
}

fn explain(name: &OsStr, errno: Errno) -> anyhow::Error {
    // __NEW_UTS_LEN in linux/utsname.h. Whatever is short enough the kernel takes, even nothing.
    let length = match errno {
        Errno::EINVAL => format!(" (it has {} bytes, and 64 is the most)", name.len()),
        _ => String::new(),
    };
    anyhow::Error::new(errno).context(format!("sethostname to '{}'{length}", name.display()))
}
