//! `workshop plot`: what the limits of the steps 11 to 13 do, measured on this machine and drawn.
//!
//! Each experiment starts a step in a throw-away host, lets its command go wild, and reads at
//! regular intervals what the kernel has counted for the container's group. No program under test
//! is asked for anything.
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
    for experiment in chosen {
        let figure = experiment.run(&programs)?;
        let path = out.join(format!("{}.svg", figure.name));
        fs::write(&path, svg::draw(&figure))
            .with_context(|| format!("write {}", path.display()))?;
        writeln!(io::stdout(), "{}\nAs a picture: {}\n", text::draw(&figure), path.display())
            .context("write to standard output")?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Experiment {
    fn run(self, programs: &Path) -> Result<Figure> {
        match self {
            Experiment::Cpu => measure(programs, "cgroup-cpu", cpu::measure).map(cpu::figure),
            Experiment::Memory => {
                measure(programs, "cgroup-memory", memory::measure).map(memory::figure)
            }
            Experiment::Pids => {
                measure(programs, "cgroup-pids-io", pids::measure).map(pids::figure)
            }
        }
    }
}

/// Lets `look` measure this step, in a throw-away host.
fn measure<T>(
    programs: &Path,
    step: &str,
    look: impl FnOnce(&Trial) -> Result<T, Broken>,
) -> Result<T>
where
    T: Serialize + DeserializeOwned,
{
    let step = Step::find(step)?;
    let name = step.name();
    let program = programs::find(programs, &name, "workshop plot")?;
    // Nobody to be told is no reason to stop.
    let _ = writeln!(io::stderr(), "Measuring {name} …");
    let subject = Subject { step, program, prefix: Vec::new(), rootfs: None, seed: 1 };
    let look = |trial: &Trial| Ok(look(trial).map_err(view::explain));
    let measured: Result<T, String> = subject.start(0, look)?.finish()?;
    measured.or_else(|reason| bail!("{name}: {reason}"))
}
