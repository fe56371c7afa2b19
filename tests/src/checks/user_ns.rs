//! Step 08: users of its own.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use anyhow::Context;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::unistd::{getegid, geteuid};

use super::Check;
use super::fork_exec::{has_status, refuses, runs};
use crate::judge::agent::Agent;
use crate::judge::kernel::Process;
use crate::judge::start::Start;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, expect};
use crate::sandbox::users::ORDINARY;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "user-ns/own-user-namespace",
        asserts: "The command has a user namespace of its own.",
        read: "CLONE_NEWUSER in clone(2), user_namespaces(7)",
        holds: own_user_namespace,
    },
    Check {
        name: "user-ns/the-other-namespaces-belong-to-it",
        asserts: "Its mount, PID, network, IPC and UTS namespaces belong to its user namespace.",
        read: "user_namespaces(7): whoever makes the others first makes them as a nobody",
        holds: the_other_namespaces_belong_to_it,
    },
    Check {
        name: "user-ns/the-caller-is-root-inside",
        asserts: "The caller's user and group are 0 inside, and the command runs with both.",
        read: "user_namespaces(7), under User and group ID mappings: uid_map and gid_map",
        holds: the_caller_is_root_inside,
    },
    Check {
        name: "user-ns/only-granted-ids-are-mapped",
        asserts: "No id is mapped but the caller's, and those that /etc/subuid and /etc/subgid grant.",
        read: "subuid(5), newuidmap(1)",
        holds: only_granted_ids_are_mapped,
    },
    Check {
        name: "user-ns/setgroups-is-denied",
        asserts: "With a single group mapped, nobody inside may change his groups.",
        read: "user_namespaces(7), under The /proc/PID/setgroups file; CVE-2014-8989",
        holds: setgroups_is_denied,
    },
    Check {
        name: "user-ns/an-ordinary-user-can-run-it",
        asserts: "An ordinary user runs a container, and what it makes as root belongs to him.",
        read: "user_namespaces(7); files belong to the user that 0 stands for",
        holds: an_ordinary_user_can_run_it,
    },
    Check {
        name: "user-ns/files-of-others-stay-out-of-reach",
        asserts: "Root inside cannot read, or give itself, a file of another user's.",
        read: "user_namespaces(7), under Interaction of user namespaces and files: unmapped owners",
        holds: files_of_others_stay_out_of_reach,
    },
    Check {
        name: "user-ns/what-a-mount-covers-stays-covered",
        asserts: "Root inside cannot unmount what the host mounted in ROOTFS, and look beneath it.",
        read: "mount_namespaces(7): mounts that come from a more privileged namespace are locked",
        holds: what_a_mount_covers_stays_covered,
    },
    Check {
        name: "user-ns/the-option-is-known",
        asserts: "`--userns` gives a user namespace too.",
        read: "the contract, step 08",
        holds: the_option_is_known,
    },
    Check {
        name: "user-ns/a-host-that-refuses-is-125",
        asserts: "Where no user namespace may be made, an ordinary user gets status 125 and one line.",
        read: "/proc/sys/user/max_user_namespaces in namespaces(7); ENOSPC in clone(2)",
        holds: a_host_that_refuses_is_125,
    },
];

/// A container with users of its own: step 08 makes no other, later ones do when asked.
fn start<'t>(trial: &'t Trial<'t>) -> Start<'t> {
    let must_ask = trial.subject.step.number > 8;
    trial.start().options(must_ask.then_some("--userns"))
}

fn own_user_namespace(trial: &Trial) -> Held {
    has_own_namespace(trial, &start(trial).agent()?)
}

fn has_own_namespace(trial: &Trial, agent: &Agent) -> Held {
    let hosts = Process::host(trial.host)?.namespace("user")?;
    expect(agent.command.namespace("user")? != hosts, "/proc/PID/ns/user is not the host's", || {
        format!("both are user:[{hosts}]")
    })
}

fn the_other_namespaces_belong_to_it(trial: &Trial) -> Held {
    let agent = start(trial).agent()?;
    has_own_namespace(trial, &agent)?;
    let users = agent.command.namespace("user")?;
    for kind in ["mnt", "pid", "net", "ipc", "uts"] {
        let owner = agent.command.owner_of_namespace(kind)?;
        expect(
            owner == users,
            &format!("ioctl NS_GET_USERNS on /proc/PID/ns/{kind} gives user:[{users}]"),
            || format!("it gives user:[{owner}]"),
        )?;
    }
    Ok(())
}

fn the_caller_is_root_inside(trial: &Trial) -> Held {
    let agent = start(trial).agent()?;
    has_own_namespace(trial, &agent)?;
    is_root_inside(&agent)
}

fn is_root_inside(agent: &Agent) -> Held {
    let callers = [geteuid().as_raw(), getegid().as_raw()];
    for ((map, field), caller) in [("uid_map", "Uid"), ("gid_map", "Gid")].into_iter().zip(callers)
    {
        // The kernel shows it in the numbers of whoever reads it.
        let lines = agent.command.id_map(map)?;
        expect(
            lines.iter().any(|[inside, outside, _]| (*inside, *outside) == (0, caller)),
            &format!("/proc/PID/{map} gives number 0 to the caller, {caller}"),
            || format!("{lines:?}"),
        )?;
        let numbers = agent.command.status_field(field)?;
        let all_callers = numbers.split_whitespace().all(|number| number == caller.to_string());
        expect(
            all_callers,
            &format!("{field} in /proc/PID/status is {caller}, four times, seen from outside"),
            || numbers.clone(),
        )?;
    }
    Ok(())
}

/// What the check writes to `/etc/subuid` and `/etc/subgid`: first id and count.
const GRANTED: [(u32, u32); 2] = [(231_072, 4096), (345_000, 10)];

fn only_granted_ids_are_mapped(trial: &Trial) -> Held {
    if !has_many_ids(trial)? {
        let reason = "here is only one user id, and the kernel lets nobody map any other";
        return Err(Broken::Unsupported(reason.into()));
    }
    for granted in [&[][..], &GRANTED] {
        grant(granted)?;
        only_these_are_mapped(trial, granted)?;
    }
    Ok(())
}

fn only_these_are_mapped(trial: &Trial, granted: &[(u32, u32)]) -> Held {
    let agent = start(trial).agent()?;
    has_own_namespace(trial, &agent)?;
    for (map, caller) in [("uid_map", geteuid().as_raw()), ("gid_map", getegid().as_raw())] {
        let lines = agent.command.id_map(map)?;
        let is_granted = |[_, outside, count]: &[u32; 3]| {
            (*outside, *count) == (caller, 1)
                || granted.iter().any(|(first, size)| {
                    first <= outside
                        && u64::from(*outside) + u64::from(*count)
                            <= u64::from(*first) + u64::from(*size)
                })
        };
        expect(
            !lines.is_empty() && lines.iter().all(is_granted),
            &format!("/proc/PID/{map} maps {caller}, and at most {granted:?} (first id, count)"),
            || format!("it maps {lines:?} (inside, outside, count)"),
        )?;
    }
    Ok(())
}

fn setgroups_is_denied(trial: &Trial) -> Held {
    if Process::host(trial.host)?.text("setgroups")?.trim() == "deny" {
        let reason = "nobody here may change his groups anyway: it needs a judge who is root";
        return Err(Broken::Unsupported(reason.into()));
    }
    grant(&[])?;
    let agent = start(trial).agent()?;
    has_own_namespace(trial, &agent)?;
    let shown = agent.command.text("setgroups")?;
    expect(shown.trim() == "deny", "/proc/PID/setgroups reads `deny`", || format!("{shown:?}"))
}

fn an_ordinary_user_can_run_it(trial: &Trial) -> Held {
    grant(&[])?;
    let mut agent = trial.start().by_an_ordinary_user().agent()?;
    is_root_inside(&agent)?;
    let (name, text) = (trial.word(), trial.word());
    agent.must(&format!("write /{name} {text}"))?;
    let file = agent.command.stat_inside(&name)?;
    let (owner, due) = (file.st_uid, geteuid().as_raw());
    expect(owner == due, "a file that root makes inside belongs to the caller", || {
        format!("it belongs to user {owner}, and the caller is {due}, who calls himself {ORDINARY}")
    })?;
    let code = trial.number(1..125);
    has_status(&agent.exit(code)?, &[code], &format!("a command that exits with {code}"))
}

fn files_of_others_stay_out_of_reach(trial: &Trial) -> Held {
    if !has_many_ids(trial)? {
        let reason =
            "what is out of the caller's reach anyway shows nothing: it needs a judge who is root";
        return Err(Broken::Unsupported(reason.into()));
    }
    let name = trial.word();
    let file = trial.outside(&name);
    fs::write(&file, "secret").context("write a file")?;
    fs::set_permissions(&file, Permissions::from_mode(0o600)).context("chmod")?;
    chown(&file, Some(4242), Some(4242)).context("chown")?;
    grant(&[])?;
    let mut agent = start(trial).agent()?;
    for (order, due) in
        [(format!("read /{name}"), Errno::EACCES), (format!("chown /{name} 0"), Errno::EPERM)]
    {
        let answer = agent.order(&order)?;
        expect(answer == Err(due), &format!("`{order}` inside fails with {due}"), || {
            format!("{answer:?}")
        })?;
    }
    Ok(())
}

fn what_a_mount_covers_stays_covered(trial: &Trial) -> Held {
    has_own_namespace(trial, &start(trial).agent()?)?;
    let name = trial.word();
    let covered = trial.outside(&name);
    fs::create_dir(&covered).context("mkdir")?;
    fs::write(covered.join("secret"), "secret").context("write a file")?;
    let (tmpfs, none) = (Some("tmpfs"), None::<&str>);
    mount(tmpfs, &covered, tmpfs, MsFlags::empty(), none).context("mount a tmpfs in ROOTFS")?;
    let ending = start(trial).command([trial.inside("probe")]).finish()?;
    if trial.subject.step.stacks_layers() && ending.status == 125 {
        // An overlay would show what lies beneath the mount, so the kernel refuses it here.
        return refuses(&ending, "a ROOTFS in which the host has something mounted");
    }
    let mut agent = start(trial).agent()?;
    has_own_namespace(trial, &agent)?;
    // It may refuse the call, or not show the mount at all; what counts is what can be read then.
    let unmounted = agent.order(&format!("umount /{name}"))?;
    let read = agent.order(&format!("read /{name}/secret"))?;
    expect(read.is_err(), "a file beneath a mount of the host's cannot be read inside", || {
        format!("`umount /{name}`: {unmounted:?}, and then it can be read")
    })
}

fn the_option_is_known(trial: &Trial) -> Held {
    has_own_namespace(trial, &trial.start().options(["--userns"]).agent()?)
}

fn a_host_that_refuses_is_125(trial: &Trial) -> Held {
    runs(trial)?;
    let command = [trial.inside("probe")];
    let start = trial.start().by_an_ordinary_user_without_namespaces();
    refuses(&start.command(command).finish()?, "a host that allows no user namespace")
}

/// Grants just these ranges to the caller, and others to somebody else, in this throw-away host.
fn grant(ranges: &[(u32, u32)]) -> Held {
    let mut lines = vec!["somebody-else:500000:1000\n".to_owned()];
    lines.extend(ranges.iter().map(|(first, count)| format!("root:{first}:{count}\n")));
    let granted = Path::new("/tmp/granted");
    fs::write(granted, lines.concat()).context("write /tmp/granted")?;
    for file in ["/etc/subuid", "/etc/subgid"].map(Path::new) {
        // An ordinary user may not write to /etc, but he may cover a file in it.
        if !file.exists() {
            if ranges.is_empty() {
                continue;
            }
            File::create(file).with_context(|| format!("make {}", file.display()))?;
        }
        bind(granted, file)?;
    }
    Ok(())
}

fn bind(source: &Path, target: &Path) -> anyhow::Result<()> {
    let none = None::<&str>;
    mount(Some(source), target, none, MsFlags::MS_BIND, none)
        .with_context(|| format!("bind {} on {}", source.display(), target.display()))
}

/// Whether the throw-away host has more users than its root.
pub fn has_many_ids(trial: &Trial) -> anyhow::Result<bool> {
    let count: u64 =
        Process::host(trial.host)?.id_map("uid_map")?.iter().map(|line| u64::from(line[2])).sum();
    Ok(count > 1)
}
