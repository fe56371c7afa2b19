//! The programs under test, built by one nested `cargo build`, so that `cargo test` is enough.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The command that judges: cargo built it for this test.
pub const WORKSHOP: &str = env!("CARGO_BIN_EXE_workshop");

/// The folder of the clone.
pub fn clone() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the clone")
}

/// The reference program of this name, for example `03-pivot-root` or `cooper`.
pub fn reference(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).join(name)
}

/// Whether a throw-away host can be made here. If not the test named is counted as unsupported, out
/// loud.
pub fn can_judge(test: &str) -> bool {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let reason = REASON.get_or_init(|| {
        let output =
            Command::new(WORKSHOP).args(["sandbox", "true"]).output().expect("workshop runs");
        let failed = !output.status.success();
        failed.then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
    });
    if let Some(reason) = reason {
        say_unsupported(test, reason);
    }
    reason.is_none()
}

/// Whether a throw-away host has control groups in which a container can be limited. If not the test
/// named is counted as unsupported, out loud.
pub fn can_limit(test: &str) -> bool {
    let script = "cd /sys/fs/cgroup/memory || cd /sys/fs/cgroup; mkdir a && cat a/memory.stat";
    let output = Command::new(WORKSHOP)
        .args(["sandbox", "sh", "-c", script])
        .output()
        .expect("workshop runs");
    if !output.status.success() {
        say_unsupported(test, "no control group with the controller memory can be made here");
    }
    output.status.success()
}

/// Says what cannot be tried here, and why. Standard error is written to directly, because the test
/// runner hides what a test prints.
pub fn say_unsupported(what: &str, reason: &str) {
    let _ = writeln!(io::stderr(), "unsupported: {what}: {reason}");
}

/// Held by a test while it judges, beside others.
pub fn beside_others() -> RwLockReadGuard<'static, ()> {
    JUDGING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held by a test that needs the machine for itself.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    JUDGING.write().unwrap_or_else(PoisonError::into_inner)
}

static JUDGING: RwLock<()> = RwLock::new(());

/// Builds the default members, unless `COOPERAGE_BIN_DIR` says where they are already: then the
/// suite can also be run by a user who may not write to the target directory.
fn build() -> PathBuf {
    if let Some(dir) = env::var_os("COOPERAGE_BIN_DIR") {
        return dir.into();
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked"])
        .current_dir(clone())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the reference programs do not build");
    Path::new(WORKSHOP).parent().expect("the binary lies in a directory").to_owned()
}
