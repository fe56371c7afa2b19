//! `workshop plot`: what the limits of the steps 11 to 13 do, measured on this machine and drawn.
//!
//! Each experiment starts a step in a throw-away host, lets its command go wild, and reads at
//! regular intervals what the kernel has counted for the container's group. What a program says of
//! itself is not asked.
//!
//! - [`cpu`], [`memory`], [`pids`]: the three experiments, what each samples and how it is told
//! - [`ticks`]: regular intervals; [`machine`]: where it was measured
//! - [`figure`]: what a picture shows, before it is drawn: [`svg`] for the book, [`text`] for a
//!   terminal

mod cpu;
mod figure;
mod machine;
mod memory;
mod pids;
mod svg;
mod text;
mod ticks;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;

use figure::Figure;

use crate::judge::trial::Trial;
use crate::judge::verdict::Broken;
use crate::programs;
use crate::progress::Progress;
use crate::steps::Step;
use crate::subject::Subject;
use crate::view;

/// What `workshop plot` is told.
#[derive(Args)]
#[command(after_help = "\
Each experiment takes a few seconds, and best a machine that has little else to
do. It needs control groups: root, or a group that is delegated to you.

The exit status is 0 when all was measured and written, and 2 otherwise.")]
pub struct Options {
    /// Which experiments; all three if none is named.
    #[arg(value_enum)]
    experiments: Vec<Experiment>,
    /// Write the pictures (limit-cpu.svg and so on) to this directory and not to target/plot.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Experiment {
    /// An endless loop, without a limit and with `--cpus 0.2`.
    Cpu,
    /// A program that takes more and more memory, with `--memory 32m`.
    Memory,
    /// A fork bomb, with `--pids-limit 16`.
    Pids,
}

/// Measures and draws.
pub fn run(options: &Options) -> Result<ExitCode> {
    let programs = programs::directory()?;
    // Before all else: who has no place for the pictures learns it now.
    let out = options.out.clone().unwrap_or_else(|| programs.with_file_name("plot"));
    fs::create_dir_all(&out)
        .with_context(|| format!("make the directory {} (--out names another)", out.display()))?;
    let chosen = match &options.experiments[..] {
        [] => Experiment::value_variants(),
        chosen => chosen,
    };
    let mut progress = Progress::new(chosen.len());
    for experiment in chosen {
        progress.started(experiment.step());
        let figure = experiment.run(&programs)?;
        let path = out.join(format!("{}.svg", figure.name));
        fs::write(&path, svg::draw(&figure))
            .with_context(|| format!("write {}", path.display()))?;
        progress.clear();
        writeln!(io::stdout(), "{}\nAs a picture: {}\n", text::draw(&figure), path.display())
            .context("write to standard output")?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Experiment {
    /// The step whose limit it is about.
    fn step(self) -> &'static str {
        match self {
            Experiment::Cpu => "cgroup-cpu",
            Experiment::Memory => "cgroup-memory",
            Experiment::Pids => "cgroup-pids-io",
        }
    }

    fn run(self, programs: &Path) -> Result<Figure> {
        let step = Step::find(self.step())?;
        Ok(match self {
            Experiment::Cpu => cpu::figure(&measure(programs, step, cpu::measure)?),
            Experiment::Memory => memory::figure(&measure(programs, step, memory::measure)?),
            Experiment::Pids => pids::figure(&measure(programs, step, pids::measure)?),
        })
    }
}

/// Lets `look` measure this step, in a throw-away host.
fn measure<T>(
    programs: &Path,
    step: &'static Step,
    look: impl FnOnce(&Trial) -> Result<T, Broken>,
) -> Result<T>
where
    T: Serialize + DeserializeOwned,
{
    let name = step.name();
    let program = programs::find(programs, &name, "workshop plot")?;
    let subject = Subject { step, program, prefix: Vec::new(), rootfs: None, seed: 1 };
    let look = |trial: &Trial| Ok(look(trial).map_err(view::explain));
    let measured: Result<T, String> = subject.start(0, look)?.finish()?;
    measured.or_else(|reason| bail!("{name}: {reason}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::machine::Machine;
    use super::{cpu, memory, pids, svg, text};

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn memory_measured() -> memory::Measured {
        let sample = |(time, mebibytes, kills): (u64, u64, u64)| memory::Sample {
            at: at(time),
            bytes: mebibytes << 20,
            kills,
        };
        let samples = [(0, 0, 0), (500, 16, 0), (1000, 31, 0), (1050, 0, 1), (1200, 0, 1)];
        memory::Measured {
            machine: Machine::example(),
            samples: samples.into_iter().map(sample).collect(),
            status: 137,
        }
    }

    #[test]
    fn the_picture_of_a_kill() {
        insta::with_settings!({
            snapshot_path => "plot/snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!("limit-memory", svg::draw(&memory::figure(&memory_measured()))) });
    }

    #[test]
    fn the_kill_on_a_terminal() {
        insta::assert_snapshot!(text::draw(&memory::figure(&memory_measured())), @r"
        A growing program meets --memory 32m

          Memory in MiB, over time in seconds
           40 │
              │
           32 │╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▁▂▄▅╌╌✕╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ limit 32 MiB
              │                               ▁▃▄▆▇████
           24 │                          ▂▃▅▆██████████▇
              │                    ▁▂▄▅▇████████████████
           16 │               ▁▂▄▆▇█████████████████████
              │          ▁▂▄▆▇██████████████████████████
            8 │     ▁▂▄▆▇███████████████████████████████▇
              │▁▂▄▆▇█████████████████████████████████████
            0 └────────────────────────────────────────────────────────────
               0                  0.5                  1                  1.5

          at most 31.0 MiB; processes killed: 1; exit status 137
          measured on Linux 6.12.48, cgroup version 2, CPUs: 4
        ");
    }

    #[test]
    fn use_is_cpu_time_by_time_gone_by() {
        let sample = |(time, used): (u64, u64)| cpu::Sample { at: at(time), used: at(used) };
        let samples = |pairs: &[(u64, u64)]| pairs.iter().copied().map(sample).collect::<Vec<_>>();
        let measured = cpu::Measured {
            machine: Machine::example(),
            // What the step itself has used before does not count, and an interval may be long.
            free: samples(&[(0, 7), (100, 107), (400, 307)]),
            limited: samples(&[(0, 5), (100, 25), (200, 45)]),
            close: samples(&[(0, 45), (5, 50), (10, 50)]),
            periods: 30,
            throttled: 29,
        };
        let figure = cpu::figure(&measured);
        let [halves, close_up] = &figure.panels[..] else { panic!("there are two panels") };
        let heights = [0.05, 0.3, 3.05, 3.15].map(|x| halves.at(x).map(f64::round));
        assert_eq!(heights, [Some(100.0), Some(67.0), Some(20.0), Some(20.0)]);
        assert_eq!(close_up.line, [(0.0, 0.0), (5.0, 5.0), (10.0, 5.0)]);
        let caption = [
            "no limit: 75.0 % of one CPU; --cpus 0.2: 20.0 %",
            "the loop was throttled in 29 of 30 periods of 100 ms",
        ];
        assert_eq!(figure.caption[..2], caption);
    }

    #[test]
    fn processes_and_refusals_are_two_curves() {
        let sample = |(time, processes, refused): (u64, u32, u32)| pids::Sample {
            at: at(time),
            processes,
            refused,
        };
        let samples = [(0, 1, 0), (500, 16, 0), (1500, 15, 176)].into_iter().map(sample).collect();
        let figure = pids::figure(&pids::Measured { machine: Machine::example(), samples });
        let ends = figure.panels.iter().map(|panel| panel.line.last().copied());
        assert_eq!(ends.collect::<Vec<_>>(), [Some((1.5, 15.0)), Some((1.5, 176.0))]);
        assert_eq!(figure.caption[0], "at most 16 processes; forks refused: 176");
    }

    #[test]
    fn nothing_measured_can_be_drawn() {
        let measured = pids::Measured { machine: Machine::example(), samples: Vec::new() };
        let figure = pids::figure(&measured);
        assert!(svg::draw(&figure).ends_with("</svg>\n"));
        assert!(text::draw(&figure).contains("forks refused: 0"));
    }
}
