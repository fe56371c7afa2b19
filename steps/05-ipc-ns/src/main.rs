//! Step 05: the command has message queues, semaphores and shared memory of its own.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fork_exec::{CommandLine, exec, fork, wait};
use ipc_ns::own_ipc;
use mount_ns::{default_mounts, make_devices, mount_all, private_mounts};
use pivot_root::{bind_root, pivot_root};
use uts_ns::{UtsOptions, own_host_name};

/// Run COMMAND with the directory ROOTFS as its root and IPC objects of its own
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    uts: UtsOptions,
    /// The directory that becomes the command's root
    rootfs: PathBuf,
    #[command(flatten)]
    command: CommandLine,
}

fn main() -> ExitCode {
    fork_exec::main(run)
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let child = fork(|| container(options))?;
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
    exec(&options.command)
}
