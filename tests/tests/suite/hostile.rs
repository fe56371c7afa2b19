//! Programs that hang, flood and destroy get their verdict in time, and the host loses nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::at_once::at_once;
use crate::binaries::{alone, beside_others, can_judge};
use crate::reference::{grade, report};

/// Above the time limit of one check, below what would make a course impatient.
const LIMIT: Duration = Duration::from_secs(60);

/// Programs by what they do when they are called, as shell scripts: those that take all that the
/// sandbox gives.
const GREEDY: [(&str, &str); 4] = [
    ("floods-its-output", "exec yes"),
    ("forks-without-end", "f() { f & f & }; f; f; sleep 2"),
    ("kills-everything", "kill -9 -1; kill -9 0; kill -9 1"),
    ("fills-the-disk", "cat /dev/zero > /tmp/a; cat /dev/zero > /var/tmp/a; cat /dev/zero > /a"),
];

/// And those that can be judged beside others.
const QUIET: [(&str, &str); 6] = [
    ("hangs", "while :; do sleep 1; done"),
    ("ignores-signals", "trap '' TERM INT HUP; while :; do sleep 1; done"),
    ("deletes-everything", "rm -rf --no-preserve-root / 2>/dev/null"),
    ("unmounts-everything", "umount -a -l 2>/dev/null; umount -l / 2>/dev/null; sleep 1"),
    ("closes-its-output", "exec >&- 2>&-; sleep 1"),
    ("goes-into-the-background", "setsid sleep 300 & exit 0"),
];

/// Something that must be there afterwards.
struct Canary {
    dir: TempDir,
    process: Child,
    mounts: BTreeSet<PathBuf>,
}

impl Canary {
    fn new() -> Canary {
        let dir = TempDir::new().expect("a temporary directory");
        fs::write(dir.path().join("song"), "tweet").expect("write");
        let process = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn();
        Canary { dir, process: process.expect("sleep runs"), mounts: mounts() }
    }

    fn sings(&mut self) {
        let song = fs::read_to_string(self.dir.path().join("song"));
        assert_eq!(song.ok().as_deref(), Some("tweet"), "a file of the host was deleted");
        assert!(self.process.try_wait().expect("wait").is_none(), "a process was killed");
        // The machine may have other users, who mount and unmount; they remove the mount point too.
        let mounts = mounts();
        let gone = self.mounts.iter().find(|point| !mounts.contains(*point) && point.exists());
        assert_eq!(gone, None, "something of the host's was unmounted");
        assert!(Path::new("/dev/null").exists(), "/dev/null is gone");
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where something is mounted: the fifth field of each line (`proc_pid_mountinfo(5)`).
fn mounts() -> BTreeSet<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect()
}

#[test]
fn greedy_programs_get_a_verdict_and_the_host_is_unharmed() {
    if can_judge("greedy_programs_get_a_verdict_and_the_host_is_unharmed") {
        // The machine is busy now: nothing else is to be judged meanwhile.
        let _alone = alone();
        get_nothing(&GREEDY);
    }
}

#[test]
fn quiet_programs_get_a_verdict_and_the_host_is_unharmed() {
    let _guard = beside_others();
    if can_judge("quiet_programs_get_a_verdict_and_the_host_is_unharmed") {
        get_nothing(&QUIET);
    }
}

fn get_nothing(programs: &[(&str, &str)]) {
    let mut canary = Canary::new();
    let dir = TempDir::new().expect("a temporary directory");
    at_once(programs, |(name, script)| {
        gets_nothing(name, &write_script(dir.path(), name, script));
    });
    canary.sings();
}

fn gets_nothing(name: &str, program: &Path) {
    let start = Instant::now();
    let output = grade("03", program, &[]);
    let report = report(&output);
    assert_eq!(report["score"], 0, "{name}: {report:#}");
    let status = output.status.code();
    assert!(status == Some(1) || status == Some(2), "{name}: status {status:?}");
    assert!(start.elapsed() < LIMIT, "{name} took {:?}", start.elapsed());
}

fn write_script(dir: &Path, name: &str, script: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("write a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    path
}
