//! The programs that this host has.

use std::env;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// Where a system keeps its own.
const SYSTEM: [&str; 4] = ["/bin", "/usr/bin", "/sbin", "/usr/sbin"];

/// Whether `path` names a file that the caller may execute.
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// The executable files called `name`. The system's own come before those of the caller's PATH, so
/// that what is found does not hang on his shell.
pub fn candidates(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = SYSTEM.into_iter().map(PathBuf::from).chain(env::split_paths(&path));
    directories.map(|directory| directory.join(name)).filter(|file| is_executable(file)).collect()
}
