//! What an archive says of a file beside its content: what stat(2) tells, and the extended attributes.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use nix::sys::stat::{major, minor};
use rustix::io::Errno;
use tar::{EntryType, Header};

use crate::whiteout::is_of_the_overlay;

/// As long as the kernel lets extended attributes be, see xattr(7).
const LONGEST: usize = 65536;

/// The label of a security module is the host's, who gives a new one to what he unpacks.
const LABEL: &str = "security.selinux";

/// Every field has a number, and all of them are 0.
pub fn blank(kind: EntryType) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    for set in [Header::set_uid, Header::set_gid, Header::set_size, Header::set_mtime] {
        set(&mut header, 0);
    }
    set_device(&mut header, 0, 0);
    header
}

fn set_device(header: &mut Header, major: u32, minor: u32) {
    // Only the header of another format would have no place for them.
    let _ = header.set_device_major(major).and_then(|()| header.set_device_minor(minor));
}

/// That of a file of this kind, with what `stat` tells of it.
pub fn of(stat: &Metadata, kind: EntryType) -> Header {
    let mut header = blank(kind);
    header.set_mode(stat.mode() & 0o7777);
    header.set_uid(stat.uid().into());
    header.set_gid(stat.gid().into());
    // Before 1970 is not a time that every reader of archives knows.
    header.set_mtime(stat.mtime().try_into().unwrap_or(0));
    header
}

/// That of a device node.
pub fn of_device(stat: &Metadata, kind: EntryType) -> anyhow::Result<Header> {
    let mut header = of(stat, kind);
    let number = |number: u64| u32::try_from(number).context("a device number has 32 bits");
    set_device(&mut header, number(major(stat.rdev()))?, number(minor(stat.rdev()))?);
    Ok(header)
}

/// The extended attributes of a file, sorted, under the keys that every container engine uses.
pub fn attributes(file: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; LONGEST];
    let length = match rustix::fs::llistxattr(file, &mut names[..]) {
        Err(Errno::NOTSUP) => 0,
        length => length.context("list the extended attributes")?,
    };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).map(OsStr::from_bytes) {
        if name.is_empty() || name == LABEL || is_of_the_overlay(name) {
            continue;
        }
        let shown = name.to_str().context("an extended attribute's name is not UTF-8")?;
        let mut value = vec![0; LONGEST];
        let length = rustix::fs::lgetxattr(file, name, &mut value[..])
            .with_context(|| format!("read the extended attribute {shown}"))?;
        value.truncate(length);
        found.push((format!("SCHILY.xattr.{shown}"), value));
    }
    found.sort_unstable();
    Ok(found)
}
