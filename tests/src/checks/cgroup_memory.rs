//! Step 12: a limit of the memory.

use anyhow::Result;

use super::Check;
use super::cgroup_cpu::{is_refused_without_a_group, not_before};
use super::fork_exec::{has_status, refuses};
use crate::judge::account::{counts_swap, killed_for_memory, memory_limit, swap_limit};
use crate::judge::agent::Agent;
use crate::judge::groups::{Group, group_with, read};
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, expect};
use crate::patience::patience;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "cgroup-memory/over-the-limit-it-is-killed",
        asserts: "A command that takes more memory than `--memory` allows is killed, which is status 137, \
                  and its group is removed.",
        read: "memory.max in cgroup-v2.rst; 128 + 9, the number of SIGKILL",
        holds: over_the_limit_it_is_killed,
    },
    Check {
        name: "cgroup-memory/under-the-limit-it-works",
        asserts: "A command that takes three quarters of the limit gets them.",
        read: "the contract: `--memory` counts bytes, or with the unit m mebibytes",
        holds: under_the_limit_it_works,
    },
    Check {
        name: "cgroup-memory/the-whole-group-counts",
        asserts: "Two processes, each below the limit and together above it, lose one of them, and the \
                  kernel counts it.",
        read: "oom_kill in memory.events, or on version 1 in memory.oom_control",
        holds: the_whole_group_counts,
    },
    Check {
        name: "cgroup-memory/nothing-goes-to-the-swap",
        asserts: "The group may use no swap space beside its memory.",
        read: "memory.swap.max in cgroup-v2.rst; memory.memsw.limit_in_bytes in cgroup-v1/memory.rst",
        holds: nothing_goes_to_the_swap,
    },
    Check {
        name: "cgroup-memory/the-limit-comes-before-the-command",
        asserts: "As long as the limit has not been written the command does not run.",
        read: "chapter 07, the rendezvous: spawn, then limit, then release",
        holds: the_limit_comes_before_the_command,
    },
    Check {
        name: "cgroup-memory/only-this-container-is-limited",
        asserts: "A container without `--memory` has no limit, and the host keeps its own, while one with \
                  it runs.",
        read: "cgroups(7): the limit goes into the container's own group, and not into one above it",
        holds: only_this_container_is_limited,
    },
    Check {
        name: "cgroup-memory/the-host-does-not-notice",
        asserts: "A program of the host that has more memory than the container's limit goes on, when the \
                  container's command is killed.",
        read: "cgroups(7): the kernel kills within the group whose limit was reached",
        holds: the_host_does_not_notice,
    },
    Check {
        name: "cgroup-memory/units-are-powers-of-1024",
        asserts: "b, k, m and g, in either case, or no unit at all give the group a limit of so many bytes.",
        read: "the contract: suffixes b, k, m, g",
        holds: units_are_powers_of_1024,
    },
    Check {
        name: "cgroup-memory/impossible-size-is-125",
        asserts: "Less than 6m, another unit, and what is no number give status 125 and one line.",
        read: "the contract: `--memory` 6m or more",
        holds: impossible_size_is_125,
    },
    Check {
        name: "cgroup-memory/a-limit-that-cannot-be-set-is-125",
        asserts: "Where the step can make no group, `--memory` gives status 125 and one line.",
        read: "the contract, step 10: a limit is never silently left out",
        holds: a_limit_that_cannot_be_set_is_125,
    },
];

/// A container with a limit.
struct Limited<'t> {
    agent: Agent<'t>,
    /// In mebibytes.
    limit: i32,
    group: Group,
}

impl<'t> Limited<'t> {
    fn start(trial: &'t Trial) -> Result<Limited<'t>, Broken> {
        // Where there can be no limit, none can be asked for.
        host(trial)?;
        let limit = trial.number(24..48);
        let agent = trial.start().options(["--memory", &format!("{limit}m")]).agent()?;
        let group = group_with(trial, &agent.command, "memory")?;
        Ok(Limited { agent, limit, group })
    }

    /// Has the command take twice its limit.
    fn dies(mut self) -> Held {
        let limit = self.limit;
        // The answer does not come: the command has ended before.
        self.agent.run.write_line(&format!("take {}", limit * 2))?;
        let what = format!("a command that takes {} MiB with `--memory {limit}m`", limit * 2);
        // If it lives it waits for more.
        self.agent.run.close_stdin();
        has_status(&self.agent.ending()?, &[137], &what)?;
        expect(!self.group.directory.exists(), "its group is gone", || {
            format!("{} is there", self.group.directory.display())
        })
    }
}

/// The group of a program of the host.
fn host(trial: &Trial) -> Result<Group, Broken> {
    group_with(trial, &Process::host(trial.host)?, "memory")
}

fn over_the_limit_it_is_killed(trial: &Trial) -> Held {
    Limited::start(trial)?.dies()
}

fn under_the_limit_it_works(trial: &Trial) -> Held {
    let mut limited = Limited::start(trial)?;
    limited.agent.must(&format!("take {}", limited.limit * 3 / 4))?;
    let killed = killed_for_memory(&limited.group)?;
    expect(killed == 0, "the kernel has killed nobody in the group", || {
        format!("oom_kill is {killed}")
    })?;
    // Who does not limit at all gets it, too.
    limited.dies()
}

fn the_whole_group_counts(trial: &Trial) -> Held {
    let mut limited = Limited::start(trial)?;
    let order = format!("feed {}", limited.limit * 2 / 3);
    let first = limited.agent.must(&order)?;
    expect(first == "taken", "a process gets two thirds of the limit", || "it died".to_owned())?;
    limited.agent.run.write_line(&order)?;
    // One of the two dies, or with `memory.oom.group` both, and the command as well: then no answer
    // comes.
    limited.agent.run.first_line(patience())?;
    let killed = killed_for_memory(&limited.group)?;
    expect(killed > 0, "oom_kill of the group counts what the kernel has killed", || {
        "it is 0 after two processes took a third more than the limit".into()
    })
}

fn nothing_goes_to_the_swap(trial: &Trial) -> Held {
    let Limited { agent: _agent, group, .. } = Limited::start(trial)?;
    if !counts_swap(&group) {
        let reason = "this kernel does not count swap space by groups (swapaccount=1 at its boot)";
        return Err(Broken::Unsupported(reason.into()));
    }
    let swap = swap_limit(&group)?;
    expect(swap == Some(0), "the group may have 0 bytes in the swap space", || match swap {
        Some(swap) => format!("it may have {swap}"),
        None => "it may have as much as there is".into(),
    })
}

fn the_limit_comes_before_the_command(trial: &Trial) -> Held {
    let is_unified = host(trial)?.is_unified();
    let file = if is_unified { "memory.max" } else { "memory.limit_in_bytes" };
    let agent = not_before(trial, ["--memory", "32m"], "memory", file)?;
    has_limit(trial, &agent, 32 << 20)
}

fn only_this_container_is_limited(trial: &Trial) -> Held {
    let hosts = host(trial)?;
    let file = if hosts.is_unified() { "memory.max" } else { "memory.limit_in_bytes" };
    let of_the_top = || read(&hosts.top.join(file));
    let before = of_the_top()?;
    let limited = Limited::start(trial)?;
    let limit = memory_limit(&limited.group)?;
    expect(limit.is_some(), "the group of a container with `--memory` has a limit", || {
        "it has none".into()
    })?;
    let others = [trial.start().agent()?, trial.start().agent_on_the_host()?];
    for (agent, what) in others.iter().zip(["a container without `--memory`", "the host"]) {
        let limit = memory_limit(&group_with(trial, &agent.command, "memory")?)?;
        expect(limit.is_none(), &format!("{what} has no limit"), || format!("{limit:?} bytes"))?;
    }
    let after = of_the_top()?;
    expect(before == after, &format!("{file} of the root of the hierarchy is as before"), || {
        format!("it was {before:?} and is {after:?}")
    })
}

fn the_host_does_not_notice(trial: &Trial) -> Held {
    let mut host = trial.start().agent_on_the_host()?;
    let mut other = trial.start().agent()?;
    // Whoever is asked for memory while the container goes over its limit must get it.
    host.must("take 96")?;
    Limited::start(trial)?.dies()?;
    host.must("take 1")?;
    other.must("take 8").map(drop)
}

fn units_are_powers_of_1024(trial: &Trial) -> Held {
    host(trial)?;
    let limit = trial.number(8..64);
    let bytes = u64::from(limit.cast_unsigned()) << 20;
    let sizes =
        [format!("{limit}M"), format!("{}k", bytes >> 10), format!("{bytes}"), format!("{bytes}b")];
    // The first one may have to make mount points that the others find.
    has_limit(trial, &trial.start().options(["--memory", "1g"]).agent()?, 1 << 30)?;
    let start = |size: &String| trial.start().options(["--memory", size]).begin();
    let started = sizes.iter().map(start).collect::<Result<Vec<_>>>()?;
    for starting in started {
        has_limit(trial, &starting.ready()?, bytes)?;
    }
    has_limit(trial, &trial.start().options(["-m", "1G"]).agent()?, 1 << 30)
}

/// Whether the kernel holds the container to this limit.
fn has_limit(trial: &Trial, agent: &Agent, bytes: u64) -> Held {
    let limit = memory_limit(&group_with(trial, &agent.command, "memory")?)?;
    expect(limit == Some(bytes), &format!("the group may use {bytes} bytes"), || {
        limit.map_or("it has no limit".into(), |limit| format!("it may use {limit}"))
    })
}

fn impossible_size_is_125(trial: &Trial) -> Held {
    // Who does not know the option refuses every value.
    Limited::start(trial)?;
    let little = ["0", "10", "5m", "6291455", "-32m"];
    let wrong = ["", "m", "much", "32x", "m32"];
    // 2^64 and a little more, which some machines take for a little.
    let much = ["17179869216g", "18446744073742925824"];
    for size in little.into_iter().chain(wrong).chain(much) {
        let option = format!("--memory={size}");
        let ending = trial.start().options([&option]).command([trial.inside("probe")]).finish()?;
        refuses(&ending, &format!("`{option}`"))?;
    }
    Ok(())
}

fn a_limit_that_cannot_be_set_is_125(trial: &Trial) -> Held {
    Limited::start(trial)?;
    is_refused_without_a_group(trial, ["--memory", "32m"])
}
