//! Step 15: the command's root comes out of an image.

use std::convert::Infallible;
use std::process::ExitCode;

use cgroup_cpu::CpuOptions;
use cgroup_memory::MemoryOptions;
use cgroup_ns::{CgroupOptions, own_cgroup_view, with_cgroups};
use cgroup_pids_io::PidsIoOptions;
use clap::Parser;
use fork_exec::{CommandLine, exec, wait};
use image::{ImageOptions, Reference, forbid_devices, reference};
use ipc_ns::own_ipc;
use mount_ns::{default_mounts, make_devices, mount_all, private_mounts};
use net_ns::{NetOptions, Network};
use nix::sched::CloneFlags;
use overlay::{Layers, OverlayOptions, mount_layers};
use pid_ns::{PidOptions, init};
use pivot_root::pivot_root;
use time_ns::{TimeOptions, own_clocks};
use user_ns::{UserOptions, Users};
use uts_ns::{UtsOptions, own_host_name};

/// Run COMMAND with the root file system out of IMAGE
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    uts: UtsOptions,
    #[command(flatten)]
    pid: PidOptions,
    #[command(flatten)]
    net: NetOptions,
    #[command(flatten)]
    user: UserOptions,
    #[command(flatten)]
    time: TimeOptions,
    #[command(flatten)]
    cgroup: CgroupOptions,
    #[command(flatten)]
    cpu: CpuOptions,
    #[command(flatten)]
    memory: MemoryOptions,
    #[command(flatten)]
    pids_io: PidsIoOptions,
    #[command(flatten)]
    overlay: OverlayOptions,
    #[command(flatten)]
    store: ImageOptions,
    /// A docker-archive or an OCI layout, as directory or tar, and which image in it: `PATH[:TAG]`
    #[arg(value_parser = reference())]
    image: Reference,
    #[command(flatten)]
    command: CommandLine,
}

fn main() -> ExitCode {
    fork_exec::main(run)
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let users = options.user.users()?;
    let network = options.net.network()?;
    let image = options.store.unpack(&options.image, &users)?;
    let layers = image.layers()?;
    let flags = CloneFlags::CLONE_NEWPID | network.flags();
    // Declared before the child, and so dropped after it: until that has ended, nobody can remove
    // the group.
    let mut group;
    let child = users.spawn(flags, || container(options, &layers, &users, &network))?;
    users.map(child.pid())?;
    let _link = network.attach(child.pid())?;
    group = options.cgroup.group()?;
    group.add(child.pid())?;
    options.cpu.limit(&group)?;
    options.memory.limit(&group)?;
    options.pids_io.limit(&group)?;
    let _lock = options.overlay.lock()?;
    let _in_use = image.lock()?;
    wait(&child.release()?)
}

/// What the child does between fork and exec: each line takes one thing of the host's away.
fn container(
    options: &Options,
    layers: &Layers,
    users: &Users,
    network: &Network,
) -> anyhow::Result<Infallible> {
    users.become_root()?;
    own_cgroup_view()?;
    network.configure()?;
    own_host_name(options.uts.hostname.as_deref())?;
    own_ipc()?;
    own_clocks(&options.time.offsets()?)?;
    private_mounts()?;
    let root = mount_layers(layers, options.overlay.upper.as_deref())?;
    forbid_devices(&root)?;
    mount_all(&root, &with_cgroups(users.mounts(default_mounts(), network)))?;
    make_devices(&root)?;
    pivot_root(&root)?;
    let command = || exec(&options.command);
    if options.pid.init { init(command) } else { command() }
}
