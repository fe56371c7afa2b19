//! A shell that runs the commands of one page, each when the one before it has ended.
//!
//! The shell reads its commands from a pipe, and after each of them we have it print a mark. The
//! mark is written only when the command has been read: if it started a shell of its own, the mark
//! is for that one. (POSIX shells read no further than they have to, but dash does, and takes
//! whatever is in the pipe.)

use std::env;
use std::io::{PipeReader, Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};

use crate::transcript::Exchange;

/// No command in the book takes nearly as long.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The folder of this build's programs: the steps' and `workshop` lie beside ours.
pub fn programs() -> anyhow::Result<PathBuf> {
    let ours = env::current_exe().context("find this program")?;
    let folder = ours.parent().context("this program lies in no folder")?;
    // Cargo keeps a test in `deps`, below the programs.
    Ok(if folder.ends_with("deps") { folder.with_file_name("") } else { folder.to_path_buf() })
}

/// Builds what the transcripts run, as the default build of the workspace does.
pub fn build_programs(root: &Path) -> anyhow::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let profile = if programs()?.ends_with("release") { "release" } else { "dev" };
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--profile", profile])
        .current_dir(root)
        .status()
        .context("run cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(())
}

/// Why no sandbox can be made on this machine, if it is so.
pub fn no_sandbox() -> anyhow::Result<Option<String>> {
    let mut command = Command::new(programs()?.join("workshop"));
    let output = command.args(["sandbox", "--", "true"]).output().context("run workshop")?;
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((!output.status.success()).then_some(reason))
}

/// Makes a control group in the sandbox, and looks whether it can be limited.
const TRY_GROUPS: &str = "cd /sys/fs/cgroup || exit
    if test -e cgroup.controllers
    then
        mkdir try && test -e try/cpu.max -a -e try/memory.max -a -e try/pids.max
    else
        mkdir cpu/try cpuacct/try pids/try memory/try && test -e memory/try/memory.limit_in_bytes
    fi";

/// Whether a sandbox on this machine, for this user, has control groups that can be limited.
pub fn has_groups() -> anyhow::Result<bool> {
    let mut command = Command::new(programs()?.join("workshop"));
    let output = command.args(["sandbox", "--", "sh", "-c", TRY_GROUPS]).output();
    Ok(output.context("run workshop")?.status.success())
}

/// `sh` in a sandbox, in the folder `root`, with this build's programs in its PATH.
pub fn sandbox(root: &Path) -> anyhow::Result<Command> {
    let programs = programs()?;
    let mut command = Command::new(programs.join("workshop"));
    command.args(["sandbox", "--", "sh"]).current_dir(root);
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([programs].into_iter().chain(env::split_paths(&path)))?;
    command.env("PATH", path).env("LC_ALL", "C").env_remove("ENV");
    Ok(command)
}

/// Runs the exchanges of a page in the shell that `launcher` starts, and returns what each printed.
pub fn run(launcher: Command, exchanges: &[Exchange]) -> anyhow::Result<Vec<String>> {
    let mut shell = Shell::start(launcher)?;
    let output =
        |each: &Exchange| shell.run(&each.command).with_context(|| format!("# {}", each.command));
    exchanges.iter().map(output).collect()
}

struct Shell {
    process: Child,
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
    commands: usize,
}

impl Shell {
    fn start(mut launcher: Command) -> anyhow::Result<Shell> {
        let (reader, writer) = pipe().context("make a pipe")?;
        launcher.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
        let mut process = launcher
            .spawn()
            .with_context(|| format!("start {}", launcher.get_program().display()))?;
        // With it go our copies of the pipe's other end, so that the output can end.
        drop(launcher);
        let input = process.stdin.take().context("the shell has no input")?;
        Ok(Shell { process, input, output: receive(reader), commands: 0 })
    }

    /// What the command printed.
    fn run(&mut self, command: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + TIME_LIMIT;
        self.commands += 1;
        let mark = format!("@@the end of command {}@@", self.commands);
        writeln!(self.input, "{command}").context("the shell has ended")?;
        while ioctl_fionread(&self.input).context("ioctl FIONREAD")? > 0 {
            ensure!(Instant::now() < deadline, "the shell does not read it");
            thread::sleep(Duration::from_millis(1));
        }
        // The next command may ask for the status of this one. If the command has ended the shell,
        // the output ends without a mark, and that is what is reported.
        let _ = writeln!(self.input, "status=$?; echo '{mark}'; (exit $status)");

        let mut printed = Vec::new();
        let mark = format!("{mark}\n");
        while !printed.ends_with(mark.as_bytes()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => printed.extend(bytes),
                Err(_) => bail!(
                    "no end within {TIME_LIMIT:?}, or the shell has ended; so far it printed:\n{}",
                    String::from_utf8_lossy(&printed)
                ),
            }
        }
        printed.truncate(printed.len() - mark.len());
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Asked to end, `workshop` ends all that runs inside and removes what it has made on the
        // host; killed, it would leave its control groups. If it is gone already, so much the
        // better.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}

/// Reads on a thread of its own, so that we can wait with a time limit.
fn receive(mut reader: PipeReader) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}
