//! What files there are below a directory, in words that can be compared.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Path below `dir` → kind, mode, owner and size of each file, down to `depth` levels. Does not
/// look into other mounts.
pub fn list(dir: &Path, depth: usize) -> BTreeMap<OsString, String> {
    let mut found = BTreeMap::new();
    if let Ok(top) = fs::metadata(dir) {
        walk(dir, dir, depth, top.dev(), &mut found);
    }
    found
}

fn walk(top: &Path, dir: &Path, depth: usize, device: u64, found: &mut BTreeMap<OsString, String>) {
    // What the caller may not read, or what goes while we look, does not count.
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(file) = fs::symlink_metadata(&path) else { continue };
        let name = path.strip_prefix(top).unwrap_or(&path).as_os_str().to_owned();
        found.insert(name, describe(&file));
        if file.is_dir() && file.dev() == device && depth > 1 {
            walk(top, &path, depth - 1, device, found);
        }
    }
}

fn describe(file: &fs::Metadata) -> String {
    let kind = file.file_type();
    let what = if kind.is_dir() {
        "directory".to_owned()
    } else if kind.is_symlink() {
        "link".to_owned()
    } else if kind.is_char_device() || kind.is_block_device() {
        format!("device {:x}", file.rdev())
    } else if file.len() == 0 {
        "empty file".to_owned()
    } else {
        format!("file of {} bytes", file.len())
    };
    format!("{what}, mode {:o}, owner {}:{}", file.mode() & 0o7777, file.uid(), file.gid())
}
