//! `workshop grade --vm`: the same command, in a throw-away virtual machine.
//!
//! `vagrant/qemu/run` makes the machine; here is said what goes in: this very program, the program
//! under test, and what the two load. The machine sees copies, and nothing else of this host.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::Duration;
use std::{env, fmt};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::interrupt;
use crate::rootfs::needed_by;

/// How long one step may take in all, in seconds; only a program that hangs, on an emulated
/// processor, ever takes so long.
const TIME_LIMIT: &str = "900";

/// How often to look whether we are asked to stop.
const INTERVAL: Duration = Duration::from_millis(50);

/// What is said of the machine.
#[derive(Args)]
pub struct MachineOptions {
    /// Judge in a throw-away virtual machine (vagrant/qemu): needs no root, and trusts nobody.
    #[arg(long)]
    pub vm: bool,
    /// How the machine's control groups are laid out.
    #[arg(long, requires = "vm", value_enum, default_value_t, value_name = "LAYOUT")]
    cgroup: Layout,
    /// Which kernel it has: that of Debian 12 or of Debian 13.
    #[arg(long, requires = "vm", value_enum, default_value_t, value_name = "DEBIAN")]
    kernel: Kernel,
    /// Judge as an ordinary user of the machine, not as its root.
    #[arg(long, requires = "vm")]
    user: bool,
    /// Put this into the machine too, at the same place; may be repeated.
    #[arg(long, requires = "vm", value_name = "PATH")]
    share: Vec<PathBuf>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Layout {
    /// The unified hierarchy of version 2.
    #[default]
    V2,
    /// A hierarchy of version 1 for each controller.
    V1,
    /// Those, and an additional one of version 2 without controllers.
    Hybrid,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Kernel {
    /// Debian 12's, 6.1.
    #[default]
    Bookworm,
    /// Debian 13's, 6.12.
    Trixie,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::V2 => "v2",
            Layout::V1 => "v1",
            Layout::Hybrid => "hybrid",
        })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kernel::Bookworm => "bookworm",
            Kernel::Trixie => "trixie",
        })
    }
}

impl MachineOptions {
    /// Runs this program in the machine, with these arguments. `program` is put in, with what it
    /// loads, and `data` as it is.
    pub fn run(
        &self,
        arguments: &[OsString],
        program: &Path,
        data: Option<&Path>,
    ) -> Result<ExitCode> {
        let runner = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("vagrant/qemu/run");
        ensure!(runner.exists(), "{} makes the machine, and is not there", runner.display());
        let this = env::current_exe().context("find this program")?;

        let mut command = Command::new(&runner);
        command.args(["--cgroup", &self.cgroup.to_string(), "--kernel", &self.kernel.to_string()]);
        command
            .args(["--cpus", "2", "--time-limit", TIME_LIMIT])
            .args(self.user.then_some("--user"));
        let loaded = [needed_by(&this)?, needed_by(program)?].concat();
        let chosen = self.share.iter().map(PathBuf::as_path).chain(data);
        for path in
            [&this, program].into_iter().chain(chosen).chain(loaded.iter().map(AsRef::as_ref))
        {
            command.arg("--share").arg(path);
        }
        command.arg("--").arg(&this).args(arguments);

        interrupt::give_back(&mut command);
        // SAFETY: it does one system call, and allocates nothing.
        unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGTERM).map_err(io::Error::from)) };
        let machine = command.spawn().with_context(|| format!("run {}", runner.display()))?;
        let status = end_of(machine).context("wait for the machine")?;
        interrupt::check()?;
        Ok(match status.code() {
            // It has said already why there is no verdict: no machine, or no end.
            None | Some(124 | 125) => ExitCode::from(2),
            Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(2)),
        })
    }
}

/// Waits for the end of the machine. If we are asked to stop, so is it.
fn end_of(mut machine: Child) -> Result<ExitStatus> {
    loop {
        if let Some(status) = machine.try_wait()? {
            return Ok(status);
        }
        if interrupt::taken().is_some() {
            // It may have ended by itself just now.
            let _ = kill(Pid::from_raw(machine.id().cast_signed()), Signal::SIGTERM);
            return Ok(machine.wait()?);
        }
        std::thread::sleep(INTERVAL);
    }
}
