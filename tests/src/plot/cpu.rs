//! An endless loop, without a limit and with one.
//!
//! The kernel keeps `--cpus 0.2` by a quota: 20 ms of CPU time in every period of 100 ms. Once it is
//! used up, the container waits for the next period. So the limit holds on average and not at any
//! moment, which the second panel shows under the magnifying glass.

use std::iter::zip;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::figure::{Axis, Figure, Limit, Note, Panel, Point};
use super::machine::Machine;
use super::ticks::ticks;
use crate::judge::account::CpuTime;
use crate::judge::agent::Agent;
use crate::judge::groups::{Group, group_with};
use crate::judge::trial::Trial;
use crate::judge::verdict::Broken;
use crate::patience::patience;

/// The limit, in CPUs.
const LIMIT: f64 = 0.2;
/// The kernel's period: how often we look.
const PERIOD: Duration = Duration::from_millis(100);
/// How long each half takes, in seconds.
const HALF: u32 = 3;
/// How many periods we look at more closely, and how often then.
const CLOSE: u32 = 5;
const CLOSE_INTERVAL: Duration = Duration::from_millis(5);

/// What the kernel had counted at some moment.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Sample {
    /// The time since the first sample.
    pub at: Duration,
    /// The CPU time that the container had used.
    pub used: Duration,
}

/// All that was measured.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// Where.
    pub machine: Machine,
    /// Without a limit.
    pub free: Vec<Sample>,
    /// With the limit.
    pub limited: Vec<Sample>,
    /// With the limit, looked at more closely.
    pub close: Vec<Sample>,
    /// How many periods there were while it was limited.
    pub periods: u64,
    /// In how many of them it was throttled.
    pub throttled: u64,
}

/// Runs the loop twice.
pub fn measure(trial: &Trial) -> Result<Measured, Broken> {
    let half = Duration::from_secs(HALF.into());
    let mut agent = trial.start().agent()?;
    let account = Account::of(trial, &agent)?;
    agent.must("burn 1")?;
    let free = account.samples(half, PERIOD)?;
    // The second loop shall have nobody to share the CPUs with.
    drop(agent.run);
    agent.command.ends_within(patience())?;

    let mut agent = trial.start().options(["--cpus", &LIMIT.to_string()]).agent()?;
    let account = Account::of(trial, &agent)?;
    agent.must("burn 1")?;
    let before = account.read()?;
    let limited = account.samples(half, PERIOD)?;
    let CpuTime { periods, throttled, .. } = account.read()?.since(before);
    let close = account.samples(PERIOD * CLOSE, CLOSE_INTERVAL)?;
    let machine = Machine::with(&account.cpu)?;
    Ok(Measured { machine, free, limited, close, periods, throttled })
}

/// Where the kernel counts the CPU time of a container.
struct Account {
    cpu: Group,
    cpuacct: Group,
}

impl Account {
    fn of(trial: &Trial, agent: &Agent) -> Result<Account, Broken> {
        let group = |controller| group_with(trial, &agent.command, controller);
        let cpu = group("cpu")?;
        // Version 2 counts it in the same group.
        let cpuacct = if cpu.is_unified() { cpu.clone() } else { group("cpuacct")? };
        Ok(Account { cpu, cpuacct })
    }

    fn read(&self) -> Result<CpuTime, Broken> {
        Ok(CpuTime::of(&self.cpu, &self.cpuacct)?)
    }

    fn samples(&self, length: Duration, interval: Duration) -> Result<Vec<Sample>, Broken> {
        let mut samples = Vec::new();
        for first in ticks(interval) {
            let used = self.read()?.used;
            samples.push(Sample { at: first.elapsed(), used });
            if first.elapsed() >= length {
                break;
            }
        }
        Ok(samples)
    }
}

/// The picture of it.
pub fn figure(measured: &Measured) -> Figure {
    let Measured { machine, free, limited, close, periods, throttled } = measured;
    let (before, after) = (mean(free), mean(limited));
    let throttled = format!("{throttled} of {periods} periods");
    Figure {
        name: "limit-cpu",
        title: "An endless loop meets --cpus 0.2",
        description: format!(
            "Two curves. The first shows the CPU time that an endless loop uses in every tenth of a \
             second, in percent of one CPU: {before:.1} % on average for three seconds without a \
             limit, then {after:.1} % for three seconds with a limit of 20 %, a dashed line. In \
             {throttled} the loop was throttled. The second curve adds up the CPU time of half a \
             second with the limit: stairs along a dashed line that rises by 20 ms in every 100 ms."
        ),
        panels: vec![halves(free, limited), close_up(close)],
        caption: vec![
            format!("no limit: {before:.1} % of one CPU; --cpus 0.2: {after:.1} %"),
            format!("the loop was throttled in {throttled} of 100 ms"),
            machine.to_string(),
        ],
    }
}

/// Both halves side by side: CPU use from one look to the next.
fn halves(free: &[Sample], limited: &[Sample]) -> Panel {
    let (half, limit) = (f64::from(HALF), LIMIT * 100.0);
    Panel {
        title: "CPU use, in percent of one CPU, over time in seconds",
        x: Axis { step: 1.0, steps: HALF * 2 },
        y: Axis { step: 20.0, steps: 6 },
        rows: 2,
        line: steps(free, 0.0).chain(steps(limited, half)).collect(),
        limit: Some(Limit { from: (half, limit), to: (half * 2.0, limit), label: None }),
        notes: vec![
            Note::label((half * 0.5, 108.0), "no limit"),
            Note::label((half * 1.5, 48.0), "limit 20 %"),
        ],
    }
}

/// A few periods of the second half, in which the CPU time adds up.
fn close_up(close: &[Sample]) -> Panel {
    let start = close.first().map_or(0.0, |sample| milliseconds(sample.used));
    let point = |sample: &Sample| (milliseconds(sample.at), milliseconds(sample.used) - start);
    let period = Axis { step: milliseconds(PERIOD), steps: CLOSE };
    let quota = Axis { step: milliseconds(PERIOD) * LIMIT, steps: CLOSE };
    Panel {
        title: "The limit close up: CPU time in ms, over time in ms",
        x: period,
        y: Axis { steps: CLOSE + 1, ..quota },
        rows: 1,
        line: close.iter().map(point).collect(),
        limit: Some(Limit { from: (0.0, 0.0), to: (period.end(), quota.end()), label: None }),
        notes: Vec::new(),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// CPU use in percent, a step for each interval, from `start` on.
fn steps(samples: &[Sample], start: f64) -> impl Iterator<Item = Point> {
    zip(samples, &samples[1.min(samples.len())..]).flat_map(move |(one, next)| {
        let used = percent(*one, *next);
        [(start + one.at.as_secs_f64(), used), (start + next.at.as_secs_f64(), used)]
    })
}

fn mean(samples: &[Sample]) -> f64 {
    match samples {
        [first, .., last] => percent(*first, *last),
        _ => 0.0,
    }
}

/// The CPU time used between two samples, in percent of the time that went by.
fn percent(from: Sample, to: Sample) -> f64 {
    let [from, to] = [from, to].map(|sample| (sample.used.as_secs_f64(), sample.at.as_secs_f64()));
    (to.0 - from.0) / (to.1 - from.1) * 100.0
}
