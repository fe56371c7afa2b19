//! Step 06: the command is process 1, and sees no process that it has not brought forth.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fork_exec::{CommandLine, exec, wait};
use ipc_ns::own_ipc;
use mount_ns::{default_mounts, make_devices, mount_all, private_mounts};
use nix::sched::CloneFlags;
use pid_ns::{PidOptions, init, spawn};
use pivot_root::{bind_root, pivot_root};
use uts_ns::{UtsOptions, own_host_name};

/// Run COMMAND with the directory ROOTFS as its root and process ids of its own
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    uts: UtsOptions,
    #[command(flatten)]
    pid: PidOptions,
    /// The directory that becomes the command's root
    rootfs: PathBuf,
    #[command(flatten)]
    command: CommandLine,
}

fn main() -> ExitCode {
    fork_exec::main(run)
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let child = spawn(CloneFlags::CLONE_NEWPID, || container(options))?;
    wait(&child)
}

/// What the child does between fork and exec: each line takes one thing of the host's away.
fn container(options: &Options) -> anyhow::Result<Infallible> {
    own_host_name(options.uts.hostname.as_deref())?;
    own_ipc()?;
    private_mounts()?;
    let root = bind_root(&options.rootfs)?;
    mount_all(&root, &default_mounts())?;
    make_devices(&root)?;
    pivot_root(&root)?;
    let command = || exec(&options.command);
    if options.pid.init { init(command) } else { command() }
}
