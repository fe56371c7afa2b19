//! Reads `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One line of mountinfo: one mount.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mount {
    /// The mount's own number, unique among all mounts of the kernel while it exists.
    pub id: u32,
    /// Major and minor number of the file system, as `8:1`.
    pub device: String,
    /// Which directory of the file system is mounted: `/` unless it is a bind mount.
    pub root: PathBuf,
    /// The mount point, seen from the reading process's root.
    pub path: PathBuf,
    /// The options of the mount: `rw`, `nosuid` …
    pub options: String,
    /// Whether mounts and unmounts travel to or from here: `shared:N`, `master:N` …
    pub propagation: String,
    /// The type of the file system.
    pub kind: String,
    /// What is mounted: a device, or a word of no meaning.
    pub source: String,
    /// The options of the file system itself: `rw`, `size=64k` …
    pub super_options: String,
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Mount> {
        let mut fields = line.split(|byte| *byte == b' ');
        let id = text(fields.next()?).parse().ok()?;
        let device = text(fields.nth(1)?);
        let root = path(fields.next()?);
        let point = path(fields.next()?);
        let options = text(fields.next()?);
        let optional: Vec<String> =
            fields.by_ref().take_while(|field| *field != b"-").map(text).collect();
        let kind = text(fields.next()?);
        let source = text(fields.next()?);
        let super_options = text(fields.next()?);
        Some(Mount {
            id,
            device,
            root,
            path: point,
            options,
            propagation: optional.join(" "),
            kind,
            source,
            super_options,
        })
    }
}

/// The mounts of this process's mount namespace.
pub fn of_this_process() -> Result<Vec<Mount>> {
    let text = std::fs::read("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    Ok(parse(&text))
}

/// Whether the running kernel knows a type of file system (`proc_filesystems(5)`).
pub fn kernel_has_filesystem(kind: &str) -> Result<bool> {
    let text = std::fs::read_to_string("/proc/filesystems").context("read /proc/filesystems")?;
    Ok(text.lines().any(|line| line.rsplit('\t').next() == Some(kind)))
}

/// Parses a whole mountinfo file.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::path::Path;

    #[test]
    fn reads_a_line_with_optional_fields_and_escapes() {
        let line = b"36 35 98:0 /mnt1 /a\\040b rw,noatime master:1 shared:2 - ext3 /dev/root rw\n";
        let mounts = parse(line);
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].path, Path::new("/a b"));
        assert_eq!(mounts[0].root, Path::new("/mnt1"));
        assert_eq!(mounts[0].propagation, "master:1 shared:2");
        assert_eq!(mounts[0].kind, "ext3");
    }

    #[test]
    fn reads_this_kernels_own_file() {
        let mounts = super::of_this_process().unwrap();
        assert!(mounts.iter().any(|mount| mount.path == Path::new("/")));
    }
}
