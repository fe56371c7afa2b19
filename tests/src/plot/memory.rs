//! A program that takes more and more memory, until the kernel kills it.

use std::time::Duration;

use anyhow::anyhow;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::figure::{Axis, Figure, Limit, Note, Panel};
use super::machine::Machine;
use super::ticks::ticks;
use crate::judge::account::{killed_for_memory, memory_used};
use crate::judge::agent::Agent;
use crate::judge::groups::{Group, group_with};
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::Broken;

/// The limit, in MiB.
const LIMIT: u32 = 32;
/// How often the program takes one MiB more, and is looked at.
const INTERVAL: Duration = Duration::from_millis(50);
/// How often it is looked at when it has been killed.
const AFTERWARDS: usize = 4;
/// If it is not killed until then, it never will be.
const LONGEST: Duration = Duration::from_secs(15);

/// What the kernel had counted at some moment.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Sample {
    /// The time since the first sample.
    pub at: Duration,
    /// The memory that the container had, in bytes.
    pub bytes: u64,
    /// How many of its processes the kernel had killed.
    pub kills: u64,
}

/// All that was measured.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// Where.
    pub machine: Machine,
    /// Until a little after the kill.
    pub samples: Vec<Sample>,
    /// The exit status of the step.
    pub status: i32,
}

/// Runs the program to its end.
pub fn measure(trial: &Trial) -> Result<Measured, Broken> {
    // Without the controller there is no limit to be measured.
    group_with(trial, &Process::host(trial.host)?, "memory")?;
    let mut agent = trial.start().options(["--memory", &format!("{LIMIT}m")]).agent()?;
    let group = group_with(trial, &agent.command, "memory")?;
    // With its command gone, the step would remove the group before we have read how often the
    // kernel killed. So the step stands still meanwhile. Its command does not.
    agent.run.signal(Signal::SIGSTOP)?;
    let samples = sample(&mut agent, &group)?;
    agent.run.signal(Signal::SIGCONT)?;
    let status = agent.ending()?.status;
    let machine = Machine::with(&group)?;
    Ok(Measured { machine, samples, status })
}

fn sample(agent: &mut Agent, group: &Group) -> Result<Vec<Sample>, Broken> {
    let mut samples: Vec<Sample> = Vec::new();
    for first in ticks(INTERVAL) {
        let (bytes, kills) = (memory_used(group)?, killed_for_memory(group)?);
        samples.push(Sample { at: first.elapsed(), bytes, kills });
        if samples.iter().filter(|sample| sample.kills > 0).count() > AFTERWARDS {
            break;
        }
        if first.elapsed() > LONGEST {
            let shown = agent.run.stdout.rest()?;
            return Err(anyhow!("the program was never killed; it said {shown:?}").into());
        }
        if kills == 0 {
            agent.run.write_line("take 1")?;
        }
    }
    Ok(samples)
}

/// The picture of it.
pub fn figure(measured: &Measured) -> Figure {
    let Measured { machine, samples, status } = measured;
    let point = |sample: &Sample| (sample.at.as_secs_f64(), mebibytes(sample.bytes));
    let last = samples.last().map_or(0.0, |sample| sample.at.as_secs_f64());
    let x = Axis::up_to(last);
    let limit = f64::from(LIMIT);
    let kill = samples.iter().find(|sample| sample.kills > 0);
    let kill = kill.map_or(last, |sample| sample.at.as_secs_f64());
    let kills = samples.last().map_or(0, |sample| sample.kills);
    let left = samples.last().map_or(0.0, |sample| mebibytes(sample.bytes));
    let most = samples.iter().map(|sample| mebibytes(sample.bytes)).fold(0.0, f64::max);
    Figure {
        name: "limit-memory",
        title: "A growing program meets --memory 32m",
        description: format!(
            "A curve of the memory that a container has, in MiB. Its program takes one MiB more \
             twenty times a second, and the curve rises towards the limit of 32 MiB, a dashed line. \
             The most that was seen is {most:.1} MiB. After {kill:.1} seconds the kernel kills the \
             program, and in the end the container has {left:.1} MiB. Processes killed: {kills}. \
             Exit status of the step: {status}."
        ),
        panels: vec![Panel {
            title: "Memory in MiB, over time in seconds",
            limit: Some(Limit {
                from: (0.0, limit),
                to: (x.end(), limit),
                label: Some("limit 32 MiB"),
            }),
            x,
            y: Axis { step: 8.0, steps: 5 },
            rows: 2,
            line: samples.iter().map(point).collect(),
            notes: vec![Note::event((kill, limit), "OOM kill")],
        }],
        caption: vec![
            format!("at most {most:.1} MiB; processes killed: {kills}; exit status {status}"),
            machine.to_string(),
        ],
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of bytes that fits a picture is exact")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
