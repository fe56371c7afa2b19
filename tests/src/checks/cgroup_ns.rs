//! Step 10: a control group of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::sys::signal::Signal;
use nix::sys::stat::stat;

use super::Check;
use super::fork_exec::{has_status, refuses};
use crate::judge::agent::Agent;
use crate::judge::groups::{Group, Groups, NEEDED, groups};
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, expect};
use crate::patience::patience;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "cgroup-ns/own-cgroup-namespace",
        asserts: "The command has a cgroup namespace of its own.",
        read: "CLONE_NEWCGROUP in unshare(2), cgroup_namespaces(7)",
        holds: own_cgroup_namespace,
    },
    Check {
        name: "cgroup-ns/its-group-is-the-root",
        asserts: "/proc/self/cgroup inside reads `/` for every hierarchy that counts.",
        read: "cgroup_namespaces(7): the root is the group that one is in when the namespace is made",
        holds: its_group_is_the_root,
    },
    Check {
        name: "cgroup-ns/a-group-in-every-hierarchy",
        asserts: "Seen from outside the command is in a group of its own: on version 2 in one, on \
                  version 1 in one each for cpu, cpuacct, memory, pids and blkio.",
        read: "cgroups(7): write the process id to cgroup.procs, before the command runs",
        holds: a_group_in_every_hierarchy,
    },
    Check {
        name: "cgroup-ns/the-step-stays-outside",
        asserts: "The step itself stays in the group of its caller.",
        read: "cgroups(7): a limit would be the step's too, and nobody removes the group he is in",
        holds: the_step_stays_outside,
    },
    Check {
        name: "cgroup-ns/no-other-group-can-be-seen",
        asserts: "Whoever mounts the control groups inside finds his own, and none beside it.",
        read: "cgroup_namespaces(7): what a mount shows begins at the namespace's root",
        holds: no_other_group_can_be_seen,
    },
    Check {
        name: "cgroup-ns/two-containers-have-two-groups",
        asserts: "Two containers side by side are in different groups.",
        read: "EEXIST in mkdir(2): a group's name must be its own",
        holds: two_containers_have_two_groups,
    },
    Check {
        name: "cgroup-ns/the-parent-is-as-asked-for",
        asserts: "With `--cgroup-parent PATH` the group is made in that one.",
        read: "the contract, step 10: the path counts from the root of each hierarchy",
        holds: the_parent_is_as_asked_for,
    },
    Check {
        name: "cgroup-ns/impossible-parent-is-125",
        asserts: "A parent that is not there, or is no group, gives status 125 and one line.",
        read: "ENOENT and ENOTDIR in mkdir(2)",
        holds: impossible_parent_is_125,
    },
    Check {
        name: "cgroup-ns/the-group-is-removed",
        asserts: "When the step has ended its group is gone, with all that was made beneath it.",
        read: "cgroups(7), under Removing cgroups: children first",
        holds: the_group_is_removed,
    },
    Check {
        name: "cgroup-ns/a-killed-steps-group-is-removed-by-the-next",
        asserts: "What a killed step left is removed by the next one, and what is in use is not.",
        read: "flock(2): a lock that ends with its holder tells which group is abandoned",
        holds: a_killed_steps_group_is_removed_by_the_next,
    },
];

fn own_cgroup_namespace(trial: &Trial) -> Held {
    has_own_namespace(trial, &trial.start().agent()?)
}

fn has_own_namespace(trial: &Trial, agent: &Agent) -> Held {
    let hosts = Process::host(trial.host)?.namespace("cgroup")?;
    expect(
        agent.command.namespace("cgroup")? != hosts,
        "/proc/PID/ns/cgroup is not the host's",
        || format!("both are cgroup:[{hosts}]"),
    )
}

fn its_group_is_the_root(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    has_own_namespace(trial, &agent)?;
    let text = agent.command.cgroup_inside()?;
    let is_root = |line: &&str| {
        let (names, path) = line.split_once(':').and_then(|(_, rest)| rest.split_once(':'))?;
        let counts = names.is_empty() || names.split(',').any(|name| NEEDED.contains(&name));
        Some(!counts || path == "/")
    };
    let other = text.lines().find(|line| is_root(line) == Some(false));
    expect(
        other.is_none(),
        "/proc/PID/cgroup, read in the namespace of the command, ends with `:/` in every line",
        || other.unwrap_or_default().to_owned(),
    )
}

fn a_group_in_every_hierarchy(trial: &Trial) -> Held {
    own_groups(trial, &trial.start().agent()?).map(drop)
}

/// The groups of the command, which must be other ones than those of a program that the host runs.
fn own_groups(trial: &Trial, agent: &Agent) -> Result<Groups, Broken> {
    let hosts = groups_of_the_host(trial)?;
    let own = groups(trial, &agent.command)?;
    for (name, group) in &hosts {
        expect(
            own.get(name).is_some_and(|own| own != group),
            &format!("in the hierarchy {name} the command has a group of its own"),
            || {
                format!(
                    "/proc/PID/cgroup says it is in /{}, like any other",
                    group.path().display()
                )
            },
        )?;
    }
    Ok(own)
}

/// The groups of a program that the host itself has started.
fn groups_of_the_host(trial: &Trial) -> Result<Groups, Broken> {
    groups(trial, &trial.start().agent_on_the_host()?.command)
}

fn the_step_stays_outside(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    own_groups(trial, &agent)?;
    let (step, host) =
        (groups(trial, &Process::of(trial.host, agent.run.pid())?)?, groups_of_the_host(trial)?);
    expect(step == host, "the step is in the groups that a program of the host is in", || {
        let paths = |groups: &Groups| {
            let path = |group: &Group| format!("/{}", group.path().display());
            groups.iter().map(|(name, group)| format!("{name}:{}", path(group))).collect::<Vec<_>>()
        };
        format!("the step is in {:?}, the program in {:?}", paths(&step), paths(&host))
    })
}

fn no_other_group_can_be_seen(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    for (name, group) in own_groups(trial, &agent)? {
        let other = group.top.join(trial.word());
        fs::create_dir(&other).context("make another group")?;
        let place = format!("/{}", trial.word());
        agent.must(&format!("mkdir {place}"))?;
        // Where nobody but root of the host may mount it, nothing can be seen that way.
        if agent.order(format!("cgroups {place} {}", group.controllers).trim())?.is_err() {
            continue;
        }
        let shown = agent.command.stat_inside(&place[1..])?;
        let own = stat(&group.directory).context("stat a group")?;
        expect(
            shown.st_ino == own.st_ino,
            &format!("the root of the hierarchy {name}, mounted inside, is the container's group"),
            || "it is another group, of which the container's is a part".into(),
        )?;
    }
    Ok(())
}

fn two_containers_have_two_groups(trial: &Trial) -> Held {
    let (one, other) = (trial.start().agent()?, trial.start().agent()?);
    let (first, second) = (own_groups(trial, &one)?, own_groups(trial, &other)?);
    for (name, group) in &first {
        expect(
            second.get(name).is_some_and(|second| second != group),
            &format!("in the hierarchy {name} two containers are in two groups"),
            || format!("both are in /{}", group.path().display()),
        )?;
    }
    Ok(())
}

fn the_parent_is_as_asked_for(trial: &Trial) -> Held {
    let path = Path::new("/").join(trial.word()).join(trial.word());
    in_the_parent(trial, &path)
}

/// Makes the group `path` in every hierarchy, and looks whether the step makes its own in it.
fn in_the_parent(trial: &Trial, path: &Path) -> Held {
    for group in groups_of_the_host(trial)?.values() {
        let parent = below(group, path);
        fs::create_dir_all(&parent).with_context(|| format!("mkdir {}", parent.display()))?;
    }
    let agent = trial.start().options(["--cgroup-parent".as_ref(), path.as_os_str()]).agent()?;
    let own = own_groups(trial, &agent)?;
    for (name, group) in &own {
        expect(
            group.directory.parent() == Some(&below(group, path)),
            &format!("in the hierarchy {name} the group lies in {}", path.display()),
            || format!("it is /{}", group.path().display()),
        )?;
    }
    has_status(&agent.exit(0)?, &[0], "a command that exits with 0")?;
    let left = own.values().map(|group| below(group, path)).find(|parent| !parent.is_dir());
    expect(left.is_none(), "the parent stays when the container has ended", || {
        format!("{} is gone", left.unwrap_or_default().display())
    })
}

fn below(group: &Group, path: &Path) -> PathBuf {
    group.top.join(path.strip_prefix("/").unwrap_or(path))
}

fn impossible_parent_is_125(trial: &Trial) -> Held {
    let path = Path::new("/").join(trial.word());
    // Who does not know the option refuses every value.
    in_the_parent(trial, &path)?;
    for impossible in [path.join(trial.word()), path.join("cgroup.procs")] {
        let options = ["--cgroup-parent".as_ref(), impossible.as_os_str()];
        let ending = trial.start().options(options).command([trial.inside("probe")]).finish()?;
        refuses(&ending, &format!("the parent {}", impossible.display()))?;
    }
    Ok(())
}

fn the_group_is_removed(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let own = own_groups(trial, &agent)?;
    for group in own.values() {
        let beneath = group.directory.join(trial.word()).join(trial.word());
        fs::create_dir_all(&beneath).context("make groups beneath the container's")?;
    }
    has_status(&agent.exit(0)?, &[0], "a command that exits with 0")?;
    are_gone(&own, "when the step has ended")
}

fn are_gone(groups: &Groups, when: &str) -> Held {
    let left = groups.values().find(|group| group.directory.exists());
    expect(left.is_none(), &format!("the group of the container is gone {when}"), || {
        format!("{} is there", left.map_or(Path::new(""), |group| &group.directory).display())
    })
}

fn a_killed_steps_group_is_removed_by_the_next(trial: &Trial) -> Held {
    let (mut killed, mut other) = (trial.start().agent()?, trial.start().agent()?);
    let (abandoned, used) = (own_groups(trial, &killed)?, own_groups(trial, &other)?);
    killed.run.signal(Signal::SIGKILL)?;
    killed.ending()?;
    killed.command.ends_within(patience())?;
    has_status(&trial.start().agent()?.exit(0)?, &[0], "a command that exits with 0")?;
    are_gone(&abandoned, "when the next step has ended")?;
    let gone = used.values().find(|group| !group.directory.exists());
    expect(gone.is_none(), "the group of a container that runs stays", || {
        format!("{} is gone", gone.map_or(Path::new(""), |group| &group.directory).display())
    })?;
    other.must("chdir /").map(drop)
}
