//! The device files that every program expects. All of them lie on the container's own `/dev`.

use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc::makedev;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, mknodat};
use nix::unistd::symlinkat;

use crate::beneath::open_beneath;
use crate::mounts::path_of;
use crate::umask::NoUmask;

/// Name, major and minor number: those of Linux, the same on every machine, see null(4), random(4),
/// tty(4).
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Name, and what it points to.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Fills the `/dev` beneath `root`: with devices that hold nothing and belong to nobody, so that a
/// container may have them. A disk is not among them.
pub fn make_devices(root: &OwnedFd) -> anyhow::Result<()> {
    let dev = open_beneath(root, Path::new("/dev")).context("open /dev in the new root")?;
    let _exact_modes = NoUmask::set();
    for (name, major, minor) in DEVICES {
        make_device(&dev, name, makedev(major, minor))
            .with_context(|| format!("make /dev/{name}"))?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name).with_context(|| format!("make the link /dev/{name}"))?;
    }
    Ok(())
}

fn make_device(dev: &OwnedFd, name: &str, number: u64) -> anyhow::Result<()> {
    let everyone = Mode::from_bits_truncate(0o666);
    match mknodat(dev, name, SFlag::S_IFCHR, everyone, number) {
        // In a user namespace nobody may make devices, or he could make himself the host's disk.
        // But the host's own device may be shown in the place of an empty file.
        Err(Errno::EPERM) => {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
            let file = openat(dev, name, flags, everyone)?;
            let host = Path::new("/dev").join(name);
            mount(Some(&host), &path_of(&file), None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .context("bind the host's")
        }
        result => Ok(result?),
    }
}
