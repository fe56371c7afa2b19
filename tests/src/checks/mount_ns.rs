//! Step 02: a mount table of its own, with /proc, /sys and /dev.

use std::path::Path;

use anyhow::Context;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount, umount};
use nix::sys::stat::{SFlag, major, minor};
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, TMPFS_MAGIC};

use super::Check;
use crate::judge::agent::Agent;
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, broken, expect};
use crate::mountinfo::kernel_has_filesystem;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "mount-ns/own-mount-namespace",
        asserts: "The command has a mount namespace of its own.",
        read: "CLONE_NEWNS in unshare(2), mount_namespaces(7)",
        holds: own_mount_namespace,
    },
    Check {
        name: "mount-ns/its-mounts-stay-inside",
        asserts: "Nothing that is mounted inside appears on the host.",
        read: "SHARED SUBTREES in mount_namespaces(7), MS_PRIVATE in mount(2)",
        holds: its_mounts_stay_inside,
    },
    Check {
        name: "mount-ns/later-host-mounts-stay-out",
        asserts: "What the host mounts later does not appear inside.",
        read: "SHARED SUBTREES in mount_namespaces(7): a slave still receives, private does not",
        holds: later_host_mounts_stay_out,
    },
    Check {
        name: "mount-ns/proc-is-mounted",
        asserts: "/proc is a proc file system.",
        read: "proc(5)",
        holds: |trial| is_filesystem(trial, "proc", PROC_SUPER_MAGIC, "proc"),
    },
    Check {
        name: "mount-ns/sys-is-mounted",
        asserts: "/sys is a sysfs.",
        read: "sysfs(5)",
        holds: |trial| is_filesystem(trial, "sys", SYSFS_MAGIC, "sysfs"),
    },
    Check {
        name: "mount-ns/devices-work",
        asserts: "/dev has null, zero, full, random, urandom and tty, and they work.",
        read: "null(4), full(4), random(4), mknod(2)",
        holds: devices_work,
    },
    Check {
        name: "mount-ns/terminals-work",
        asserts: "A pseudo-terminal can be opened through /dev/ptmx and /dev/pts.",
        read: "pts(4), ptmxmode= in mount(8) for devpts",
        holds: terminals_work,
    },
    Check {
        name: "mount-ns/shm-and-mqueue-are-mounted",
        asserts: "/dev/shm is a tmpfs that everybody can write, /dev/mqueue holds message queues.",
        read: "shm_overview(7), mq_overview(7)",
        holds: shm_and_mqueue_are_mounted,
    },
    Check {
        name: "mount-ns/dev-links-lead-to-the-descriptors",
        asserts: "/dev/fd, stdin, stdout and stderr lead to the process's own descriptors.",
        read: "/proc/self/fd in proc_pid_fd(5)",
        holds: dev_links_lead_to_the_descriptors,
    },
];

/// The magic number of message queues (`linux/magic.h`).
const MQUEUE_MAGIC: FsType = FsType(0x1980_0202);

fn own_mount_namespace(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let own = agent.command.namespace("mnt")?;
    let hosts = Process::host(trial.host)?.namespace("mnt")?;
    expect(own != hosts, "/proc/PID/ns/mnt differs from the host's", || {
        format!("both are mnt:[{own}]")
    })
}

fn its_mounts_stay_inside(trial: &Trial) -> Held {
    let before = trial.host_mounts()?;
    let mut agent = trial.start().agent()?;
    agent.must("mkdir /checks/inside")?;
    agent.must("mount /checks/inside")?;
    agent.must("mount /checks/directory")?;
    let new: Vec<_> =
        trial.host_mounts()?.into_iter().filter(|mount| !before.contains(mount)).collect();
    expect(new.is_empty(), "the mounts of the host stay as they were", || {
        let points: Vec<_> = new.iter().map(|mount| mount.path.display().to_string()).collect();
        format!("mountinfo of the host now also has {}", points.join(", "))
    })
}

fn later_host_mounts_stay_out(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    own_namespace_or_nothing_to_see(trial, &agent)?;
    let word = trial.word();
    let outside = trial.outside("checks/directory");
    for place in [outside.as_path(), Path::new("/var/tmp")] {
        let none = MsFlags::empty();
        mount(Some(word.as_str()), place, Some("tmpfs"), none, None::<&str>)
            .with_context(|| format!("mount a tmpfs on {} of the sandbox", place.display()))?;
    }
    let inside = agent.command.joined();
    umount(&outside).context("unmount")?;
    umount("/var/tmp").context("unmount")?;
    let arrived = inside?.mounts.into_iter().find(|mount| mount.source == word);
    expect(arrived.is_none(), "a mount that the host makes later does not appear inside", || {
        format!("mountinfo inside has it: {arrived:?}")
    })
}

/// Without a mount namespace of its own the command sees whatever the host mounts.
fn own_namespace_or_nothing_to_see(trial: &Trial, agent: &Agent) -> Held {
    let hosts = Process::host(trial.host)?.namespace("mnt")?;
    expect(agent.command.namespace("mnt")? != hosts, "a mount namespace of its own", || {
        format!("/proc/PID/ns/mnt is mnt:[{hosts}], the host's")
    })
}

/// The host has a /proc, a /sys and a /dev too: only those of ROOTFS count.
fn agent_in_rootfs<'t>(trial: &'t Trial) -> Result<Agent<'t>, Broken> {
    let agent = trial.start().agent()?;
    expect(
        agent.command.root()? == trial.due_root(&agent.command)?,
        "the command sees ROOTFS",
        || "its root is another directory".into(),
    )?;
    Ok(agent)
}

fn is_filesystem(trial: &Trial, path: &str, magic: FsType, name: &str) -> Held {
    let agent = agent_in_rootfs(trial)?;
    has_magic(&agent, path, magic, name)
}

fn has_magic(agent: &Agent, path: &str, magic: FsType, name: &str) -> Held {
    match agent.command.filesystem_inside(path) {
        Ok(shown) if shown == magic => Ok(()),
        Ok(shown) => broken(
            format!("/{path} inside is a {name} (magic number {:#x})", magic.0),
            format!("statfs says {:#x}", shown.0),
        ),
        Err(error) => broken(format!("/{path} inside is a {name}"), format!("{error:#}")),
    }
}

fn devices_work(trial: &Trial) -> Held {
    let mut agent = agent_in_rootfs(trial)?;
    for (name, numbers) in [
        ("null", (1, 3)),
        ("zero", (1, 5)),
        ("full", (1, 7)),
        ("random", (1, 8)),
        ("urandom", (1, 9)),
        ("tty", (5, 0)),
    ] {
        is_device(&agent, name, numbers)?;
    }
    // Each by what makes it what it is. /dev/tty without a terminal is ENXIO, so it is only looked at.
    let answers = [
        ("read /dev/null", Ok(String::new())),
        ("write /dev/null x", Ok(String::new())),
        ("read /dev/zero", Ok("00".repeat(16))),
        ("write /dev/full x", Err(Errno::ENOSPC)),
    ];
    for (order, due) in answers {
        let answer = agent.order(order)?;
        expect(answer == due, &format!("`{order}` inside answers {due:?}"), || {
            format!("{answer:?}")
        })?;
    }
    for name in ["random", "urandom"] {
        let bytes = agent.must(&format!("read /dev/{name}"))?;
        expect(!bytes.is_empty(), &format!("/dev/{name} gives bytes"), || "none came".into())?;
    }
    Ok(())
}

fn is_device(agent: &Agent, name: &str, (due_major, due_minor): (u64, u64)) -> Held {
    let expected = format!("/dev/{name} is the character device {due_major}:{due_minor}");
    let stat = agent
        .command
        .stat_inside(&format!("dev/{name}"))
        .or_else(|error| broken(expected.clone(), format!("{error:#}")))?;
    let is_char = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits();
    let numbers = (major(stat.st_rdev), minor(stat.st_rdev));
    expect(is_char && numbers == (due_major, due_minor), &expected, || {
        format!("mode {:o}, device {}:{}", stat.st_mode, numbers.0, numbers.1)
    })
}

fn terminals_work(trial: &Trial) -> Held {
    let mut agent = agent_in_rootfs(trial)?;
    agent.must("tty").map(drop)
}

fn shm_and_mqueue_are_mounted(trial: &Trial) -> Held {
    let agent = agent_in_rootfs(trial)?;
    has_magic(&agent, "dev/shm", TMPFS_MAGIC, "tmpfs")?;
    let mode = agent.command.stat_inside("dev/shm")?.st_mode & 0o7777;
    expect(mode == 0o1777, "/dev/shm has mode 1777", || format!("mode {mode:o}"))?;
    if !kernel_has_filesystem("mqueue")? {
        let reason = "this kernel has no POSIX message queues (CONFIG_POSIX_MQUEUE)";
        return Err(Broken::Unsupported(reason.into()));
    }
    has_magic(&agent, "dev/mqueue", MQUEUE_MAGIC, "mqueue")
}

fn dev_links_lead_to_the_descriptors(trial: &Trial) -> Held {
    let mut agent = agent_in_rootfs(trial)?;
    // What is written to the links must arrive at the pipes that the judge holds.
    for (link, stream) in [("/dev/stderr", 2), ("/dev/fd/2", 2)] {
        let text = trial.word();
        agent.must(&format!("write {link} {text}"))?;
        let arrived = agent.run.stderr.rest()?;
        expect(arrived.contains(&text), &format!("{link} is descriptor {stream}"), || {
            format!("what was written to it did not arrive: {arrived:?}")
        })?;
    }
    let there = agent.command.list_inside("dev")?;
    for link in ["fd", "stdin", "stdout", "stderr", "ptmx"] {
        expect(there.iter().any(|name| name == link), &format!("/dev/{link} exists"), || {
            format!("/dev has {there:?}")
        })?;
    }
    Ok(())
}
