//! A `/dev` of the sandbox's own: through the host's, a careless program would delete its nodes.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::mounts::{bind, fd_path, make_dir, open_path, tmpfs};
use crate::mountinfo;

/// The character devices that every program relies on, with their numbers (`null(4)` …).
const NODES: [(&str, u64, u64); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// The links that every program relies on.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The file systems below, each with its type and options.
const MOUNTS: [(&str, &str, &str); 3] = [
    ("pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"),
    ("shm", "tmpfs", "mode=1777,size=64m"),
    ("mqueue", "mqueue", ""),
];

/// Fills the directory `dev`.
pub fn make(dev: &Path) -> Result<()> {
    tmpfs(dev, MsFlags::MS_NOSUID, "mode=755,size=64m")?;
    for (name, major, minor) in NODES {
        make_node(&dev.join(name), name, makedev(major, minor))?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name)).with_context(|| format!("make the link /dev/{name}"))?;
    }
    for (name, kind, options) in MOUNTS {
        // A kernel may have been built without message queues.
        if mountinfo::kernel_has_filesystem(kind)? {
            make_dir(&dev.join(name), 0o755)?;
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
            mount(Some(kind), &dev.join(name), Some(kind), flags, Some(options))
                .with_context(|| format!("mount /dev/{name}"))?;
        }
    }
    show_a_disk(dev)
}

/// Shows one of the host's disks, if it has any, so that a limit can name it. Nobody can open it
/// there, or change its mode: the mount is `nodev` and read-only.
fn show_a_disk(dev: &Path) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir("/sys/block")
        .into_iter()
        .flatten()
        .flatten()
        .map(|it| it.file_name())
        .collect();
    names.sort_unstable();
    let virtual_ones = ["loop", "ram", "zram"];
    names.retain(|name| !virtual_ones.iter().any(|it| name.to_string_lossy().starts_with(it)));
    let Some(name) = names.iter().find(|name| Path::new("/dev").join(name).exists()) else {
        return Ok(());
    };
    let node = dev.join(name);
    File::create(&node).with_context(|| format!("make {}", node.display()))?;
    let attributes = libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_RDONLY;
    bind(&open_path(&Path::new("/dev").join(name))?, &node, attributes)
}

fn make_node(node: &Path, name: &str, device: u64) -> Result<()> {
    match mknod(node, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), device) {
        // Nobody makes device nodes in a user namespace; showing the host's is allowed.
        Err(Errno::EPERM) => show_hosts(name, node),
        result => result.with_context(|| format!("mknod {}", node.display())),
    }
}

fn show_hosts(name: &str, node: &Path) -> Result<()> {
    File::create(node).with_context(|| format!("make {}", node.display()))?;
    let hosts = open_path(&Path::new("/dev").join(name))?;
    mount(Some(fd_path(&hosts).as_str()), node, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("bind the host's /dev/{name}"))
}
