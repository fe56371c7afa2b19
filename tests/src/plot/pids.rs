//! A fork bomb that comes up against the limit on processes.
//!
//! Its fuse is slow, for the picture's sake: every process of it forks ten times a second. So their
//! number doubles each time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::figure::{Axis, Figure, Limit, Panel};
use super::machine::Machine;
use super::ticks::ticks;
use crate::judge::account::{processes, refused_forks};
use crate::judge::groups::group_with;
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::Broken;

/// The limit.
const LIMIT: u32 = 16;
/// How long a process of the bomb waits before it forks again, in milliseconds.
const PAUSE: u32 = 100;
/// How long it is looked at, and how often.
const LENGTH: Duration = Duration::from_millis(1500);
const INTERVAL: Duration = Duration::from_millis(10);

/// What the kernel had counted at some moment.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Sample {
    /// The time since the first sample.
    pub at: Duration,
    /// How many processes there were.
    pub processes: u32,
    /// How many forks had been refused.
    pub refused: u32,
}

/// All that was measured.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// Where.
    pub machine: Machine,
    /// From just before the first fork on.
    pub samples: Vec<Sample>,
}

/// Lets the bomb go off.
pub fn measure(trial: &Trial) -> Result<Measured, Broken> {
    // Without the controller there is no limit to be measured.
    group_with(trial, &Process::host(trial.host)?, "pids")?;
    let mut agent = trial.start().options(["--pids-limit", &LIMIT.to_string()]).agent()?;
    let group = group_with(trial, &agent.command, "pids")?;
    let mut samples: Vec<Sample> = Vec::new();
    for first in ticks(INTERVAL) {
        let [processes, refused] = [processes(&group)?, refused_forks(&group)?]
            .map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        samples.push(Sample { at: first.elapsed(), processes, refused });
        if samples.len() == 1 {
            agent.run.write_line(&format!("breed {PAUSE}"))?;
        }
        if first.elapsed() >= LENGTH {
            break;
        }
    }
    Ok(Measured { machine: Machine::with(&group)?, samples })
}

/// The picture of it.
pub fn figure(measured: &Measured) -> Figure {
    let Measured { machine, samples } = measured;
    let curve = |value: fn(&Sample) -> u32| {
        samples.iter().map(move |sample| (sample.at.as_secs_f64(), f64::from(value(sample))))
    };
    let most = samples.iter().map(|sample| sample.processes).max().unwrap_or(0);
    let refused = samples.last().map_or(0, |sample| sample.refused);
    let reached = samples.iter().find(|sample| sample.processes == most);
    let reached = reached.map_or(0.0, |sample| sample.at.as_secs_f64());
    let (end, limit) = (LENGTH.as_secs_f64(), f64::from(LIMIT));
    let x = Axis::up_to(end);
    Figure {
        name: "limit-pids",
        title: "A fork bomb meets --pids-limit 16",
        description: format!(
            "Two curves over {end} seconds. The first is the number of processes in a container, in \
             which every process forks each tenth of a second: it rises to {most}, for the first time \
             after {reached:.1} seconds, and the limit of 16 is a dashed line. The second adds up the \
             forks that the kernel refused: {refused} in the end."
        ),
        panels: vec![
            Panel {
                title: "Processes, over time in seconds",
                x,
                y: Axis { step: 4.0, steps: 5 },
                rows: 2,
                line: curve(|sample| sample.processes).collect(),
                limit: Some(Limit {
                    from: (0.0, limit),
                    to: (end, limit),
                    label: Some("limit 16"),
                }),
                notes: Vec::new(),
            },
            Panel {
                title: "Forks refused, over time in seconds",
                x,
                y: Axis::up_to(f64::from(refused.max(5))),
                rows: 2,
                line: curve(|sample| sample.refused).collect(),
                limit: None,
                notes: Vec::new(),
            },
        ],
        caption: vec![
            format!("at most {most} processes; forks refused: {refused}"),
            machine.to_string(),
        ],
    }
}
