//! What every root file system has, whatever its programs: directories, links, a few files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{link, set_mode};

/// Every directory of the result that is not a link, with its mode.
const DIRECTORIES: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/lib", 0o755),
    ("var", 0o755),
    ("var/tmp", 0o1777),
];

/// The other names under which programs and libraries are looked for. One real directory for
/// each suffices, wherever the host keeps its own.
const LINKS: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("sbin", "usr/bin"),
    ("usr/sbin", "bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib"),
    ("usr/lib64", "lib"),
];

/// The files by which programs give names to numbers. Group 5 owns terminals (devpts).
const FILES: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("etc/hostname", "workshop\n"),
    ("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n"),
    // Without it an older glibc would ask NIS for the name of a user.
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ("etc/os-release", "ID=workshop\nPRETTY_NAME=\"a small root file system of the workshop\"\n"),
];

/// Makes the directories, and the few files that are the same everywhere.
pub fn lay_out(root: &Path) -> Result<()> {
    for (path, mode) in DIRECTORIES {
        make_directory(&root.join(path), *mode)?;
    }
    for (path, target) in LINKS {
        link(target, &root.join(path))?;
    }
    for (path, contents) in FILES {
        let path = root.join(path);
        fs::write(&path, contents)
            .and_then(|()| set_mode(&path, 0o644))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Makes the directory `path`, with this mode whatever the caller's umask.
fn make_directory(path: &Path, mode: u32) -> Result<()> {
    fs::create_dir(path)
        .and_then(|()| set_mode(path, mode))
        .with_context(|| format!("make the directory {}", path.display()))
}
