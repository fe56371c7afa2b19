//! From an OCI runtime configuration to a process: the composition of the workshop's steps.

use std::convert::Infallible;
use std::env;
use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::{Context, bail};
use cgroup_ns::{Group, own_cgroup_view};
use fork_exec::{CommandLine, exec, wait};
use ipc_ns::own_ipc;
use mount_ns::{make_devices, mount_all, private_mounts};
use net_ns::Network;
use nix::env::clearenv;
use nix::sched::CloneFlags;
use nix::unistd::chdir;
use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};
use pid_ns::init;
use pivot_root::pivot_root;
use time_ns::{Offsets, own_clocks};
use user_ns::Users;
use uts_ns::own_host_name;

use crate::network::network;
use crate::resources::limit;
use crate::root::{lock, mount_root};
use crate::users::users;

/// The annotation that asks for an init: the runtime specification has no field for it.
pub const INIT: &str = "cooper.init";

/// Runs the container that `spec` describes, and returns the status of its process.
pub fn run(spec: &Spec) -> anyhow::Result<ExitCode> {
    let (users, network) = (users(spec)?, network(spec)?);
    let mut flags = network.flags();
    flags.set(CloneFlags::CLONE_NEWPID, has_own(spec, LinuxNamespaceType::Pid)?);
    // Dropped after the child, whatever fails: a group that still has a process cannot be removed.
    let mut group;
    let child = users.spawn(flags, || container(spec, &users, &network))?;
    users.map(child.pid())?;
    let _link = network.attach(child.pid())?;
    let linux = spec.linux().as_ref();
    group = Group::make(linux.and_then(|linux| linux.cgroups_path().as_deref()))?;
    group.add(child.pid())?;
    if let Some(resources) = linux.and_then(|linux| linux.resources().as_ref()) {
        limit(&group, resources)?;
    }
    let _locks = lock(spec)?;
    wait(&child.release()?)
}

/// Whether the container gets a namespace of this kind, or stays in ours. (To join one by its path
/// is not supported yet.)
pub fn has_own(spec: &Spec, kind: LinuxNamespaceType) -> anyhow::Result<bool> {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let wanted = namespaces.into_iter().flatten().find(|wanted| wanted.typ() == kind);
    if let Some(path) = wanted.and_then(|wanted| wanted.path().as_ref()) {
        bail!("the configuration joins the {kind} namespace {}: not supported", path.display());
    }
    Ok(wanted.is_some())
}

/// What the configuration says beyond the specification.
pub fn annotation<'s>(spec: &'s Spec, name: &str) -> Option<&'s str> {
    spec.annotations().as_ref()?.get(name).map(String::as_str)
}

/// What the child does between fork and exec.
fn container(spec: &Spec, users: &Users, network: &Network) -> anyhow::Result<Infallible> {
    let process = spec.process().as_ref().context("the configuration has no process")?;

    users.become_root()?;
    if has_own(spec, LinuxNamespaceType::Cgroup)? {
        own_cgroup_view()?;
    }
    network.configure()?;
    if has_own(spec, LinuxNamespaceType::Uts)? {
        own_host_name(spec.hostname().as_deref().map(OsStr::new))?;
    } else if spec.hostname().is_some() {
        bail!("the configuration has a host name and no uts namespace: it would be the host's");
    }
    if has_own(spec, LinuxNamespaceType::Ipc)? {
        own_ipc()?;
    }
    let offsets = spec.linux().as_ref().and_then(|linux| linux.time_offsets().as_ref());
    if has_own(spec, LinuxNamespaceType::Time)? {
        own_clocks(offsets.unwrap_or(&Offsets::new()))?;
    } else if offsets.is_some() {
        bail!("the configuration has time offsets and no time namespace: no clock can be moved");
    }
    if has_own(spec, LinuxNamespaceType::Mount)? {
        private_mounts()?;
    } else {
        bail!("the configuration has no mount namespace: its mounts would be the host's");
    }
    let root = mount_root(spec)?;
    mount_all(&root, &users.mounts(spec.mounts().clone().unwrap_or_default(), network))?;
    make_devices(&root)?;
    pivot_root(&root)?;
    if annotation(spec, INIT) == Some("true") { init(|| start(process)) } else { start(process) }
}

/// Becomes the process that `process` describes.
fn start(process: &Process) -> anyhow::Result<Infallible> {
    let cwd = process.cwd();
    chdir(cwd).with_context(|| format!("chdir to {} in the container", cwd.display()))?;
    set_environment(process.env().as_deref().unwrap_or_default())?;
    let words = process.args().as_ref().context("the configuration's process has no args")?;
    exec(&CommandLine { words: words.iter().map(Into::into).collect() })
}

/// The environment is what the configuration says, and nothing of the caller's.
fn set_environment(variables: &[String]) -> anyhow::Result<()> {
    // SAFETY: this process has a single thread, so nobody else reads the environment.
    unsafe { clearenv() }.context("clear the environment")?;
    for variable in variables {
        let (name, value) =
            variable.split_once('=').filter(|(name, _)| !name.is_empty()).with_context(|| {
                format!("the configuration's environment has a variable without a name: {variable}")
            })?;
        // SAFETY: as above.
        unsafe { env::set_var(name, value) };
    }
    Ok(())
}
