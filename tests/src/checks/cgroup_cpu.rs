//! Step 11: a limit of the CPU time.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::unistd::{SysconfVar, sysconf};

use super::Check;
use super::fork_exec::refuses;
use crate::judge::account::{CpuTime, cpu_limit, limit_of_cpus};
use crate::judge::agent::{Agent, Starting};
use crate::judge::gate::Gate;
use crate::judge::groups::{Group, group_with, groups};
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, broken, expect};
use crate::judge::wait::until;
use crate::patience::patience;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "cgroup-cpu/the-group-has-the-limit",
        asserts: "With `--cpus N` the kernel holds the container's group to N CPUs: a fraction of one, or \
                  all that there are.",
        read: "cpu.max in cgroup-v2.rst; cpu.cfs_quota_us and cpu.cfs_period_us in sched-bwc.rst",
        holds: the_group_has_the_limit,
    },
    Check {
        name: "cgroup-cpu/the-use-stays-below-it",
        asserts: "Two endless loops use together what was allowed: over two seconds never a tenth more, \
                  nor a tenth less in the share of the periods in which the kernel held them back.",
        read: "cpu.stat in cgroup-v2.rst: usage_usec, nr_periods, nr_throttled; cpuacct.usage on version 1",
        holds: the_use_stays_below_it,
    },
    Check {
        name: "cgroup-cpu/only-this-container-is-limited",
        asserts: "A container without `--cpus`, and the host, have no limit while one with it runs.",
        read: "cgroups(7): the limit goes into the container's own group, and not into one above it",
        holds: only_this_container_is_limited,
    },
    Check {
        name: "cgroup-cpu/the-limit-comes-before-the-command",
        asserts: "As long as the limit has not been written the command does not run.",
        read: "chapter 07, the rendezvous: spawn, then limit, then release",
        holds: the_limit_comes_before_the_command,
    },
    Check {
        name: "cgroup-cpu/impossible-number-is-125",
        asserts: "Less than 0.01 CPUs, more than there are, and what is no number give 125 and one line.",
        read: "the contract: `--cpus` from 0.01 to the number of CPUs",
        holds: impossible_number_is_125,
    },
    Check {
        name: "cgroup-cpu/a-limit-that-cannot-be-set-is-125",
        asserts: "Where the step can make no group, `--cpus` gives status 125 and one line.",
        read: "the contract, step 10: a limit is never silently left out",
        holds: a_limit_that_cannot_be_set_is_125,
    },
];

/// How far from the limit is still right: a tenth of it.
const TOLERANCE: f64 = 0.1;
/// How long is measured.
const WINDOW: Duration = Duration::from_secs(2);
/// How often, at most: a group that has had less than the kernel lets it have may have met a moment
/// in which the whole machine stood still.
const WINDOWS: u8 = 2;
/// How long, and how often in a row, we look whether a container sleeps.
const LOOK: Duration = Duration::from_millis(25);
const LOOKS: u8 = 12;

fn the_group_has_the_limit(trial: &Trial) -> Held {
    // With less than a fifth of a CPU a step that is a script would take its time to start.
    for cpus in [f64::from(trial.number(20..100)) / 100.0, online()?] {
        let agent = limited(trial, cpus)?;
        let limit = cpu_limit(&group_with(trial, &agent.command, "cpu")?)?;
        expect(
            limit.is_some_and(|limit| (limit / cpus - 1.0).abs() <= TOLERANCE),
            &format!("with `--cpus {cpus}` the quota of the group is {cpus} times its period"),
            || limit.map_or("there is none".into(), |limit| format!("it is {limit:.4} times")),
        )?;
    }
    Ok(())
}

/// How many CPUs there are.
fn online() -> Result<f64> {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).context("count the CPUs")?;
    Ok(f64::from(u32::try_from(online.unwrap_or(1))?))
}

/// A container with a limit.
fn limited<'t>(trial: &'t Trial, cpus: f64) -> Result<Agent<'t>, Broken> {
    // Where there can be no limit, none can be asked for.
    group_with(trial, &Process::host(trial.host)?, "cpu")?;
    trial.start().options(["--cpus", &cpus.to_string()]).agent()
}

fn the_use_stays_below_it(trial: &Trial) -> Held {
    let cpus = f64::from(trial.number(15..21)) / 100.0;
    let mut agent = limited(trial, cpus)?;
    weighs_more_than_others(&hosts(trial)?);
    agent.must("burn 2")?;
    let [cpu, cpuacct] = ["cpu", "cpuacct"].map(|name| group_with(trial, &agent.command, name));
    let cpu = cpu?;
    // On version 2 one controller does both.
    let cpuacct = if cpu.is_unified() { cpu.clone() } else { cpuacct? };
    let counts = || Ok(CpuTime::of(&cpu, &cpuacct)?.periods > 0);
    expect(until(WINDOW, counts)?, "nr_periods of the group counts: there is a limit", || {
        "it stays 0".into()
    })?;
    let mut use_of_all = Vec::new();
    for _ in 0..WINDOWS {
        let window = Window::measure(|| CpuTime::of(&cpu, &cpuacct))?;
        let Window { time, longer, .. } = window;
        let most = longer.mul_f64(cpus * (1.0 + TOLERANCE));
        expect(
            time.used <= most,
            &format!("with `--cpus {cpus}` at most {most:.2?} of {longer:.2?} are used"),
            || format!("the kernel counts {:.2?}", time.used),
        )?;
        use_of_all.push(window);
        if window.is_enough(cpus) {
            return Ok(());
        }
    }
    broken(
        format!("with `--cpus {cpus}` and two endless loops no more than a tenth of it is missing"),
        format!("the kernel counts {use_of_all:.2?}"),
    )
}

/// Where much else is going on, among it other checks, this throw-away host gets more of the CPUs:
/// who gets too little of them cannot use too much.
fn weighs_more_than_others(host: &Group) {
    let (file, four_times) =
        if host.is_unified() { ("cpu.weight", "400") } else { ("cpu.shares", "4096") };
    // The root of all groups has no such file, and needs none.
    let _ = fs::write(host.top.join(file), four_times);
}

/// What was used within about two seconds.
#[derive(Clone, Copy, Debug)]
struct Window {
    time: CpuTime,
    /// A little less than the time between the two readings: from the end of one to the beginning
    /// of the other. On a busy machine a reading may take long.
    shorter: Duration,
    /// A little more than that time.
    longer: Duration,
}

impl Window {
    fn measure(read: impl Fn() -> Result<CpuTime>) -> Result<Window> {
        // It begins where the group has just been held back, so that it holds whole periods.
        let throttled = read()?.throttled;
        until(Duration::from_millis(1500), || Ok(read()?.throttled > throttled))?;
        let outer = Instant::now();
        let first = read()?;
        let inner = Instant::now();
        sleep(WINDOW);
        let shorter = inner.elapsed();
        let time = read()?.since(first);
        Ok(Window { time, shorter, longer: outer.elapsed() })
    }

    /// Where others use the CPUs as well the group may get less than its limit. Then the kernel has
    /// no reason to hold it back. In the share of the periods in which it has, the quota was used up.
    fn is_enough(&self, cpus: f64) -> bool {
        let CpuTime { used, periods, throttled } = self.time;
        let numbers = [periods, throttled].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let share = f64::from(numbers[1]) / f64::from(numbers[0]);
        periods == 0
            || share < 0.5
            || used >= self.shorter.mul_f64(cpus * share * (1.0 - TOLERANCE))
    }
}

fn only_this_container_is_limited(trial: &Trial) -> Held {
    let agent = limited(trial, 0.5)?;
    let limit = cpu_limit(&group_with(trial, &agent.command, "cpu")?)?;
    expect(limit.is_some(), "the group of a container with `--cpus` has a quota", || {
        "it has none".into()
    })?;
    let other = group_with(trial, &trial.start().agent()?.command, "cpu")?;
    let limit = cpu_limit(&other)?;
    expect(limit.is_none(), "the group of a container without `--cpus` has no quota", || {
        format!("it may use {limit:?} CPUs")
    })?;
    for directory in [&other.top, &hosts(trial)?.directory] {
        let limit = limit_of_cpus(directory, other.is_unified())?;
        expect(limit.is_none(), &format!("{} has no quota", directory.display()), || {
            format!("it may use {limit:?} CPUs")
        })?;
    }
    Ok(())
}

/// The group of a program that the host itself has started.
fn hosts(trial: &Trial) -> Result<Group, Broken> {
    group_with(trial, &trial.start().agent_on_the_host()?.command, "cpu")
}

fn the_limit_comes_before_the_command(trial: &Trial) -> Held {
    let is_unified = hosts(trial)?.is_unified();
    let file = if is_unified { "cpu.max" } else { "cpu.cfs_quota_us" };
    let agent = not_before(trial, ["--cpus", "0.5"], "cpu", file)?;
    let limit = cpu_limit(&group_with(trial, &agent.command, "cpu")?)?;
    expect(limit.is_some(), "the group has a quota when the command runs", || "it has none".into())
}

/// Starts a container with a limit, and holds whoever opens `file` to write it: meanwhile the command
/// must not run.
pub fn not_before<'t>(
    trial: &'t Trial,
    options: [&str; 2],
    controller: &str,
    file: &'static str,
) -> Result<Agent<'t>, Broken> {
    let place = group_with(trial, &Process::host(trial.host)?, controller)?.top;
    let gate = Gate::close(trial, &place, file)?;
    let starting = trial.start().options(options).begin()?;
    let moment = Duration::from_millis(2);
    let deadline = Instant::now() + patience();
    while !gate.holds_somebody(moment)? && !starting.stirs(moment)? && Instant::now() < deadline {}
    let is_early = if gate.holds_somebody(Duration::ZERO)? {
        comes_through(&starting)?
    } else {
        // The command was there first. Whoever comes now comes too late.
        gate.holds_somebody(LOOK * u32::from(LOOKS))?
    };
    drop(gate);
    let agent = starting.ready()?;
    expect(!is_early, &format!("the command does not run before {file} is written"), || {
        format!("it ran while whoever opened {file} was held")
    })?;
    Ok(agent)
}

/// Whether the command comes to run. On a busy machine that may take long; if it does not, all
/// that the step has started soon sleeps, and goes on sleeping.
fn comes_through(starting: &Starting) -> Result<bool> {
    let (start, mut asleep) = (Instant::now(), 0);
    while asleep < LOOKS && start.elapsed() < patience() {
        if starting.stirs(LOOK)? {
            return Ok(true);
        }
        asleep = if starting.sleeps()? { asleep + 1 } else { 0 };
    }
    Ok(false)
}

fn impossible_number_is_125(trial: &Trial) -> Held {
    // Who does not know the option refuses every value.
    limited(trial, 0.5)?;
    let beyond = (online()? + 1.0).to_string();
    for value in ["0", "0.001", "-1", &beyond, "1000000", "nan", "inf", "much", ""] {
        let option = format!("--cpus={value}");
        let ending = trial.start().options([&option]).command([trial.inside("probe")]).finish()?;
        refuses(&ending, &format!("`{option}`"))?;
    }
    Ok(())
}

fn a_limit_that_cannot_be_set_is_125(trial: &Trial) -> Held {
    limited(trial, 0.5)?;
    is_refused_without_a_group(trial, ["--cpus", "0.5"])
}

/// Where the control groups are read-only, as in many a container, one can be run and not limited.
pub fn is_refused_without_a_group(trial: &Trial, options: [&str; 2]) -> Held {
    for group in groups(trial, &Process::host(trial.host)?)?.values() {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        // In a user namespace what is locked has to stay.
        let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(None::<&str>, &group.top, None::<&str>, flags, None::<&str>)
            .with_context(|| format!("remount {} read-only", group.top.display()))?;
    }
    trial.start().agent()?;
    let start = trial.start().options(options);
    let ending = start.command([trial.inside("probe")]).finish()?;
    refuses(&ending, &format!("`{}` where no group can be made", options.join(" ")))
}
