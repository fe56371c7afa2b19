//! Step 01: the command's `/` is another directory.

use std::env;
use std::fs;
use std::path::Path;

use super::Check;
use super::fork_exec::{has_status, refuses, runs};
use crate::judge::trial::Trial;
use crate::judge::verdict::{Held, expect};

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "chroot/root-is-rootfs",
        asserts: "The root directory of the command is ROOTFS.",
        read: "chroot(2)",
        holds: root_is_rootfs,
    },
    Check {
        name: "chroot/working-directory-is-root",
        asserts: "The command starts in `/`, not in a directory outside.",
        read: "chroot(2): the call does not change the working directory",
        holds: working_directory_is_root,
    },
    Check {
        name: "chroot/dotdot-stays-inside",
        asserts: "`..` does not lead out.",
        read: "chroot(2) and path_resolution(7)",
        holds: dotdot_stays_inside,
    },
    Check {
        name: "chroot/command-is-looked-up-inside",
        asserts: "The command is searched for in ROOTFS, not on the host.",
        read: "execvp(3): PATH is searched in whatever root the process has",
        holds: command_is_looked_up_inside,
    },
    Check {
        name: "chroot/bad-rootfs-is-125",
        asserts: "A ROOTFS that is no directory gives status 125 and one line that names it.",
        read: "ENOENT and ENOTDIR in chroot(2)",
        holds: bad_rootfs_is_125,
    },
];

fn root_is_rootfs(trial: &Trial) -> Held {
    // The caller stands in the directory above ROOTFS, so its name alone is a path as well.
    let relative = trial.rootfs.file_name().unwrap_or_default();
    for path in [trial.rootfs.as_os_str(), relative] {
        let agent = trial.start().rootfs(path).agent()?;
        let (root, due) = (agent.command.root()?, trial.due_root(&agent.command)?);
        let expected =
            format!("/proc/PID/root of the command is ROOTFS, given as {}", path.display());
        expect(root == due, &expected, || format!("ROOTFS is {due:?}, the root is {root:?}"))?;
    }
    Ok(())
}

fn working_directory_is_root(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let (cwd, due) = (agent.command.cwd()?, trial.due_root(&agent.command)?);
    expect(cwd == due, "/proc/PID/cwd of the command is ROOTFS", || {
        format!("ROOTFS is {due:?}, the working directory is {cwd:?}")
    })
}

fn dotdot_stays_inside(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    agent.must("chdir ../../../../../../../..")?;
    let (cwd, due) = (agent.command.cwd()?, trial.due_root(&agent.command)?);
    expect(cwd == due, "after `chdir ../../..` /proc/PID/cwd is still ROOTFS", || {
        format!("ROOTFS is {due:?}, the working directory is {cwd:?}")
    })
}

fn command_is_looked_up_inside(trial: &Trial) -> Held {
    runs(trial)?;
    // A program that only the host has, in a directory that is in PATH.
    let dir = trial.rootfs.with_file_name("host-only");
    let name = trial.word();
    fs::create_dir(&dir)
        .and_then(|()| fs::copy(trial.outside("checks/probe"), dir.join(&name)))
        .map_err(anyhow::Error::from)?;
    // The caller's own PATH stays in it: a step may be a script that needs the host's tools.
    let start = |first: &Path| {
        let dirs = [first.to_owned(), "/checks".into()].into_iter().chain(trial.path());
        trial.start().variable("PATH", env::join_paths(dirs).unwrap_or_default())
    };
    for command in [dir.join(&name), name.into()] {
        let ending = start(&dir).command([&command]).finish()?;
        has_status(&ending, &[127], &format!("{}, which only the host has,", command.display()))?;
    }
    let word = trial.word();
    let ending = start(Path::new("/nowhere")).command(["probe", &word]).finish()?;
    has_status(&ending, &[0], "`probe`, which ROOTFS has in PATH,")?;
    let said = String::from_utf8_lossy(&ending.stdout);
    expect(said == format!("ready {word}\n"), "`probe` is found in PATH inside", || {
        format!("standard output {said:?}")
    })
}

fn bad_rootfs_is_125(trial: &Trial) -> Held {
    runs(trial)?;
    let absent = trial.rootfs.with_file_name(trial.word());
    for (path, what) in [(absent, "a missing"), (trial.outside("checks/probe"), "a file as")] {
        let ending = trial.start().rootfs(&path).command([trial.inside("probe")]).finish()?;
        refuses(&ending, &format!("{what} ROOTFS"))?;
        let (line, name) = (String::from_utf8_lossy(&ending.stderr), path.display().to_string());
        expect(line.contains(&name), "the line on standard error names the ROOTFS", || {
            format!("{line:?} does not contain {name}")
        })?;
        let reason = line.to_lowercase();
        expect(
            REASONS.iter().any(|words| reason.contains(words)),
            "the line on standard error gives the kernel's reason",
            || format!("in {line:?} is neither `No such file or directory` nor `Not a directory`"),
        )?;
    }
    let ending = trial.start().finish()?;
    refuses(&ending, "a ROOTFS without a COMMAND")
}

/// ENOENT and ENOTDIR, as programs put them that do not quote `strerror(3)`.
const REASONS: [&str; 7] = [
    "no such file",
    "no such directory",
    "not a directory",
    "not found",
    "not exist",
    "enoent",
    "enotdir",
];
