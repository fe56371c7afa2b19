//! The namespace, its offsets, and the way into it.

use std::fs::{self, File};

use anyhow::Context;
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};
use oci_spec::runtime::LinuxTimeOffset;

use crate::offsets::{OFFSETS, Offsets};

/// Not yet among nix's.
const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(libc::CLONE_NEWTIME);

/// Moves this process into a time namespace of its own, in which the clocks of `offsets` are moved by
/// so much, and the others show what they showed before.
///
/// While `/proc` is that of the PID namespace that we are in. Needs a single thread.
pub fn own_clocks(offsets: &Offsets) -> anyhow::Result<()> {
    // This takes our children there, and leaves us where we are,
    unshare(CLONE_NEWTIME).map_err(explain)?;
    // because with the first process that is in there the offsets are settled.
    for (clock, offset) in offsets {
        write_offset(clock, offset)?;
    }
    // Newer kernels would take us along at the next execve(2). An init (step 06) makes none.
    let ours = "/proc/self/ns/time_for_children";
    let namespace = File::open(ours).with_context(|| format!("open {ours}"))?;
    setns(namespace, CLONE_NEWTIME).with_context(|| format!("setns to {ours}"))
}

fn write_offset(clock: &str, offset: &LinuxTimeOffset) -> anyhow::Result<()> {
    let seconds = offset.secs().unwrap_or_default();
    let nanoseconds = offset.nanosecs().unwrap_or_default();
    let line = format!("{clock} {seconds} {nanoseconds}");
    fs::write(OFFSETS, &line).with_context(|| format!("write '{line}' to {OFFSETS}"))
}

fn explain(errno: Errno) -> anyhow::Error {
    let message = match errno {
        Errno::EINVAL => {
            "unshare the time namespace (a kernel has them since 5.6, if it was built with \
             CONFIG_TIME_NS: another kernel, or a step before this one)"
        }
        _ => "unshare the time namespace",
    };
    anyhow::Error::new(errno).context(message)
}
