//! A throw-away virtual machine: for `workshop grade --vm`, `workshop suite` and `workshop vm`.
//!
//! `vagrant/qemu` makes the machine; here is said what goes in: the program to run, what else the
//! caller names, and the libraries that all of them load. The machine sees copies, and nothing else
//! of this host.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::interrupt;
use crate::judge::run::as_a_shell_says;
use crate::rootfs::needed_by;

/// How many processors the machine has, and how many MB of memory.
const SIZE: [&str; 4] = ["--cpus", "2", "--memory", "2048"];

/// How long it may run in all, in seconds. The whole suite on an emulated processor takes minutes.
const TIME_LIMIT: &str = "1800";

/// How often to look whether we are asked to stop.
const INTERVAL: Duration = Duration::from_millis(50);

/// What is said of the machine, beside the layout of its control groups.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Which kernel the machine has: Debian 12's, unless another is named.
    #[arg(long, value_enum, value_name = "DEBIAN")]
    kernel: Option<Kernel>,
    /// As an ordinary user of the machine, not as its root.
    #[arg(long)]
    user: bool,
    /// Put this into the machine too, at the same place; may be repeated.
    #[arg(long, value_name = "PATH")]
    share: Vec<PathBuf>,
}

/// How the control groups are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// The unified hierarchy of version 2.
    #[default]
    V2,
    /// A hierarchy of version 1 for each controller.
    V1,
    /// Those, and an additional one of version 2 without controllers.
    Hybrid,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kernel {
    /// Debian 12's, 6.1.
    #[default]
    Bookworm,
    /// Debian 13's, 6.12.
    Trixie,
}

/// What `workshop vm` is told.
#[derive(Args)]
#[command(after_help = "\
Nobody needs to be root for it, and what the command changes is gone with the
machine. `vagrant/README.md` says what the machine is made of.

The exit status is the command's, 124 when the machine ran for too long, and 125
when there was none or it died.")]
pub struct Options {
    /// How the control groups are laid out.
    #[arg(long, value_enum, default_value_t, value_name = "LAYOUT")]
    cgroup: Layout,
    #[command(flatten)]
    machine: Machine,
    /// A variable for the command; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<OsString>,
    /// The command: a program of this host, which is put in, or the name of one of busybox's.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs a command in a machine.
pub fn run(options: &Options) -> Result<ExitCode> {
    let program = Path::new(&options.command[0]);
    let shares: Vec<PathBuf> = program.is_file().then(|| program.to_owned()).into_iter().collect();
    let Options { cgroup, machine, env, command } = options;
    let machine = machine.start(*cgroup, env, command, &shares, Stdio::inherit())?;
    Ok(ExitCode::from(u8::try_from(as_a_shell_says(end_of(machine)?)).unwrap_or(125)))
}

impl Machine {
    /// Whether anything is said.
    pub fn is_described(&self) -> bool {
        *self != Machine::default()
    }

    /// Fetches what a machine is made of, if it is not there. Returns why there can be none.
    pub fn prepare(&self) -> Result<Option<String>> {
        let mut build =
            self.script("build")?.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        // It says what takes long, and last of all what is wrong.
        let mut last = String::new();
        for line in build.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
            last = line.context("read what vagrant/qemu/build says")?;
            let _ = writeln!(io::stderr(), "{last}");
        }
        Ok(if end_of(build)?.success() { None } else { Some(last) })
    }

    /// Runs this very program in the machine, with these arguments, and with `shares` put in.
    pub fn run_workshop(
        &self,
        layout: Layout,
        arguments: Vec<OsString>,
        shares: &[PathBuf],
        stdout: Stdio,
    ) -> Result<ExitStatus> {
        let this = env::current_exe().context("find this program")?;
        let command = [vec![this.clone().into()], arguments].concat();
        let shares = [&[this], shares].concat();
        end_of(self.start(layout, &[], &command, &shares, stdout)?)
    }

    /// Starts the machine.
    fn start(
        &self,
        layout: Layout,
        environment: &[OsString],
        command: &[OsString],
        shares: &[PathBuf],
        stdout: Stdio,
    ) -> Result<Child> {
        let mut run = self.script("run")?;
        run.args(["--cgroup", &name_of(&layout), "--time-limit", TIME_LIMIT]).args(SIZE);
        run.args(self.user.then_some("--user"));
        for path in with_libraries([shares, &self.share].concat())? {
            run.arg("--share").arg(path);
        }
        for variable in environment {
            run.arg("--env").arg(variable);
        }
        run.arg("--").args(command).stdout(stdout);
        run.spawn().context("run vagrant/qemu/run")
    }

    /// One of the scripts that make the machine.
    fn script(&self, name: &str) -> Result<Command> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("vagrant/qemu");
        let script = scripts.join(name);
        ensure!(script.exists(), "{} makes the machine, and is not there", script.display());
        let mut command = Command::new(script);
        command.args(["--kernel", &name_of(&self.kernel.unwrap_or_default())]);
        interrupt::give_back(&mut command);
        // SAFETY: it does one system call, and allocates nothing.
        unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGTERM).map_err(io::Error::from)) };
        Ok(command)
    }
}

/// These paths and the libraries of the programs among them, each once.
fn with_libraries(paths: Vec<PathBuf>) -> Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    for path in paths {
        let path = std::path::absolute(path).context("find what to put in")?;
        if fs::metadata(&path).is_ok_and(|file| file.is_file()) {
            all.extend(needed_by(&path)?);
        }
        all.insert(path);
    }
    Ok(all)
}

/// What this is called on a command line.
fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Waits for the end of the machine. If we are asked to stop, so is it.
fn end_of(mut machine: Child) -> Result<ExitStatus> {
    loop {
        if let Some(status) = machine.try_wait().context("wait for the machine")? {
            return Ok(status);
        }
        if let Err(stopped) = interrupt::check() {
            // It may have ended by itself just now.
            let _ = kill(Pid::from_raw(machine.id().cast_signed()), Signal::SIGTERM);
            machine.wait().context("wait for the machine")?;
            return Err(stopped);
        }
        sleep(INTERVAL);
    }
}
