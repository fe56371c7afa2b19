//! Step 09: clocks of its own.

use std::time::Duration;

use anyhow::Context;
use nix::time::{ClockId, clock_gettime};

use super::Check;
use super::fork_exec::refuses;
use crate::judge::agent::Agent;
use crate::judge::kernel::Process;
use crate::judge::start::Start;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, expect};

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "time-ns/own-time-namespace",
        asserts: "The command has a time namespace of its own, and its children are born there too.",
        read: "CLONE_NEWTIME in unshare(2), time_namespaces(7)",
        holds: own_time_namespace,
    },
    Check {
        name: "time-ns/both-clocks-start-at-the-uptime",
        asserts: "With `--uptime N` the monotonic and the boot clock inside start at N seconds.",
        read: "time_namespaces(7): /proc/PID/timens_offsets, written before anybody enters",
        holds: both_clocks_start_at_the_uptime,
    },
    Check {
        name: "time-ns/an-ordinary-user-can-set-it",
        asserts: "An ordinary user can give his container an uptime.",
        read: "time_namespaces(7): it takes CAP_SYS_TIME in the user namespace that owns the clocks",
        holds: an_ordinary_user_can_set_it,
    },
    Check {
        name: "time-ns/without-an-uptime-nothing-changes",
        asserts: "Without `--uptime` both clocks inside go on as on the host.",
        read: "time_namespaces(7): a new namespace has the offsets of the one it was made in",
        holds: without_an_uptime_nothing_changes,
    },
    Check {
        name: "time-ns/every-process-has-these-clocks",
        asserts: "Every process of the container is in the command's time namespace, an init too.",
        read: "time_namespaces(7): unshare moves only the children",
        holds: every_process_has_these_clocks,
    },
    Check {
        name: "time-ns/the-command-stays-process-1",
        asserts: "With `--uptime` the command is process 1 as well.",
        read: "setns(2) with CLONE_NEWTIME; or the fork that there is already",
        holds: the_command_stays_process_1,
    },
    Check {
        name: "time-ns/impossible-uptime-is-125",
        asserts: "An uptime that is no number of whole seconds, or that no clock can show, is 125.",
        read: "ERANGE in time_namespaces(7)",
        holds: impossible_uptime_is_125,
    },
];

/// The two clocks that a time namespace has.
const CLOCKS: [(&str, ClockId); 2] =
    [("CLOCK_MONOTONIC", ClockId::CLOCK_MONOTONIC), ("CLOCK_BOOTTIME", ClockId::CLOCK_BOOTTIME)];

/// How far a clock may be from what was asked for, in seconds.
const TOLERANCE: f64 = 2.0;

fn own_time_namespace(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    has_own_namespace(trial, &agent)?;
    let [own, childrens] = ["time", "time_for_children"].map(|kind| agent.command.namespace(kind));
    let (own, childrens) = (own?, childrens?);
    expect(own == childrens, "/proc/PID/ns/time_for_children is the same as time", || {
        format!("time:[{own}] and time:[{childrens}]")
    })
}

fn has_own_namespace(trial: &Trial, agent: &Agent) -> Held {
    let hosts = Process::host(trial.host)?.namespace("time")?;
    expect(agent.command.namespace("time")? != hosts, "/proc/PID/ns/time is not the host's", || {
        format!("both are time:[{hosts}]")
    })
}

fn both_clocks_start_at_the_uptime(trial: &Trial) -> Held {
    // A host that has just booted, one that has run for long, and one without a past.
    for uptime in [trial.number(10..1000), trial.number(50_000_000..200_000_000), 0] {
        starts_at(trial.start(), uptime)?;
    }
    Ok(())
}

fn an_ordinary_user_can_set_it(trial: &Trial) -> Held {
    starts_at(trial.start().by_an_ordinary_user(), trial.number(10..1000))
}

/// Whether both clocks of the container begin at `uptime`.
fn starts_at(start: Start, uptime: i32) -> Held {
    let before = now(ClockId::CLOCK_MONOTONIC)?;
    let mut agent = start.options(["--uptime", &uptime.to_string()]).agent()?;
    for (name, clock) in CLOCKS {
        let shown = ask(&mut agent, clock)?;
        let passed = now(ClockId::CLOCK_MONOTONIC)? - before;
        let (from, to) = (f64::from(uptime) - TOLERANCE, f64::from(uptime) + passed + TOLERANCE);
        expect(
            (from..to).contains(&shown),
            &format!("after `--uptime {uptime}` {name} inside shows that, and what passed since"),
            || format!("{shown:.3} after {passed:.3} seconds"),
        )?;
    }
    Ok(())
}

fn without_an_uptime_nothing_changes(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    for (name, clock) in CLOCKS {
        let before = now(clock)?;
        let shown = ask(&mut agent, clock)?;
        let after = now(clock)?;
        expect(
            (before..=after).contains(&shown),
            &format!("without an uptime {name} inside shows what it shows outside"),
            || format!("{shown:.3}, and the host's went from {before:.3} to {after:.3}"),
        )?;
    }
    Ok(())
}

fn every_process_has_these_clocks(trial: &Trial) -> Held {
    let mut agent = trial.start().options(["--init"]).agent()?;
    has_own_namespace(trial, &agent)?;
    agent.must("orphan")?;
    let (pids, due) = (agent.command.namespace("pid")?, agent.command.namespace("time")?);
    for process in trial.host.descendants(agent.run.pid())? {
        // One that has ended meanwhile is in no namespace.
        let [pid, time] = ["pid", "time"].map(|kind| process.namespace(kind).ok());
        if pid == Some(pids) {
            expect(
                time == Some(due),
                "every process of the container is in the time namespace of the command",
                || format!("process {} inside is in another", process.inner_pid().unwrap_or(0)),
            )?;
        }
    }
    Ok(())
}

fn the_command_stays_process_1(trial: &Trial) -> Held {
    let agent = trial.start().options(["--uptime", "1000"]).agent()?;
    let number = agent.command.inner_pid()?;
    expect(number == 1, "the last number of NSpid in /proc/PID/status is 1", || number.to_string())
}

fn impossible_uptime_is_125(trial: &Trial) -> Held {
    // Who does not know the option refuses every value.
    starts_at(trial.start(), 1000)?;
    for value in ["-1", "1.5", "later", "", "99999999999", "18446744073709551616"] {
        let option = format!("--uptime={value}");
        let ending = trial.start().options([&option]).command([trial.inside("probe")]).finish()?;
        refuses(&ending, &format!("`{option}`"))?;
    }
    Ok(())
}

/// What a clock shows inside, in seconds.
fn ask(agent: &mut Agent, clock: ClockId) -> Result<f64, Broken> {
    let answer = agent.must(&format!("clock {}", clock.as_raw()))?;
    Ok(answer.parse().with_context(|| format!("the probe's clock shows {answer:?}"))?)
}

/// What a clock shows here, in seconds.
fn now(clock: ClockId) -> anyhow::Result<f64> {
    let time = clock_gettime(clock).context("clock_gettime")?;
    Ok(Duration::from(time).as_secs_f64())
}
