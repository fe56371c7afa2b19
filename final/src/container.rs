//! From an OCI runtime configuration to a process: the composition of the workshop's steps.

use std::convert::Infallible;
use std::env;
use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::{Context, bail};
use fork_exec::{CommandLine, exec, wait};
use ipc_ns::own_ipc;
use mount_ns::{make_devices, mount_all, private_mounts};
use net_ns::{NetOptions, Network, NetworkMode, spawn_waiting};
use nix::env::clearenv;
use nix::sched::CloneFlags;
use nix::unistd::chdir;
use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Process, Spec};
use pid_ns::init;
use pivot_root::{bind_root, pivot_root};
use uts_ns::own_host_name;

/// The annotation that asks for an init: the runtime specification has no field for it.
pub const INIT: &str = "cooper.init";

/// The annotations that ask for a network: the specification leaves that to whoever calls a runtime.
pub const NETWORK: &str = "cooper.network";
/// The container's address on the bridge.
pub const IP: &str = "cooper.ip";
/// The bridge's subnet.
pub const SUBNET: &str = "cooper.subnet";

/// The kinds of namespaces that are made here.
const KINDS: [LinuxNamespaceType; 5] = [
    LinuxNamespaceType::Pid,
    LinuxNamespaceType::Uts,
    LinuxNamespaceType::Ipc,
    LinuxNamespaceType::Mount,
    LinuxNamespaceType::Network,
];

/// Runs the container that `spec` describes, and returns the status of its process.
pub fn run(spec: &Spec) -> anyhow::Result<ExitCode> {
    refuse_other_namespaces(spec)?;
    let network = network(spec)?.network()?;
    let mut flags = network.flags();
    flags.set(CloneFlags::CLONE_NEWPID, has_own(spec, LinuxNamespaceType::Pid)?);
    let child = spawn_waiting(flags, || container(spec, &network))?;
    let _link = network.attach(child.pid())?;
    wait(&child.release()?)
}

/// A container that shares what its configuration wants it to have for itself is worse than none.
fn refuse_other_namespaces(spec: &Spec) -> anyhow::Result<()> {
    match namespaces(spec).find(|wanted| !KINDS.contains(&wanted.typ())) {
        Some(other) => bail!("the configuration has a {} namespace: not supported", other.typ()),
        None => Ok(()),
    }
}

/// What the configuration says of the network, as the options of step 07 would.
fn network(spec: &Spec) -> anyhow::Result<NetOptions> {
    let network = match (has_own(spec, LinuxNamespaceType::Network)?, annotation(spec, NETWORK)) {
        (true, None) => NetworkMode::None,
        (true, Some("bridge")) => NetworkMode::Bridge,
        (true, Some(other)) => bail!("the annotation {NETWORK} says '{other}', and not 'bridge'"),
        (false, None) => NetworkMode::Host,
        (false, Some(_)) => {
            bail!("the annotation {NETWORK} wants a network namespace, and there is none")
        }
    };
    let ip = annotation(spec, IP).map(str::parse).transpose().context(IP)?;
    let subnet = annotation(spec, SUBNET).map(str::parse).transpose();
    Ok(NetOptions { network, ip, subnet: subnet.context(SUBNET)? })
}

fn annotation<'s>(spec: &'s Spec, name: &str) -> Option<&'s str> {
    Some(spec.annotations().as_ref()?.get(name)?.as_str())
}

fn namespaces(spec: &Spec) -> impl Iterator<Item = &LinuxNamespace> {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    namespaces.into_iter().flatten()
}

/// Whether the container gets a namespace of this kind, or stays in ours. (To join one by its path
/// is not supported yet.)
fn has_own(spec: &Spec, kind: LinuxNamespaceType) -> anyhow::Result<bool> {
    let wanted = namespaces(spec).find(|wanted| wanted.typ() == kind);
    if let Some(path) = wanted.and_then(|wanted| wanted.path().as_ref()) {
        bail!("the configuration joins the {kind} namespace {}: not supported", path.display());
    }
    Ok(wanted.is_some())
}

/// What the child does between fork and exec.
fn container(spec: &Spec, network: &Network) -> anyhow::Result<Infallible> {
    network.configure()?;
    let root = spec.root().as_ref().context("the configuration has no root")?;
    let process = spec.process().as_ref().context("the configuration has no process")?;

    if has_own(spec, LinuxNamespaceType::Uts)? {
        own_host_name(spec.hostname().as_deref().map(OsStr::new))?;
    } else if spec.hostname().is_some() {
        bail!("the configuration has a host name and no uts namespace: it would be the host's");
    }
    if has_own(spec, LinuxNamespaceType::Ipc)? {
        own_ipc()?;
    }
    if has_own(spec, LinuxNamespaceType::Mount)? {
        private_mounts()?;
    } else {
        bail!("the configuration has no mount namespace: its mounts would be the host's");
    }
    let root = bind_root(root.path())?;
    mount_all(&root, spec.mounts().as_deref().unwrap_or_default())?;
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

#[cfg(test)]
mod tests {
    use super::{Spec, run};

    #[test]
    fn a_namespace_that_nobody_would_make_is_refused() {
        let spec: Spec = serde_json::from_value(serde_json::json!({
            "ociVersion": "1.2.0",
            "linux": { "namespaces": [{ "type": "mount" }, { "type": "time" }] },
        }))
        .unwrap();
        let reason = run(&spec).unwrap_err().to_string();
        assert!(reason.contains("time namespace"), "{reason}");
    }
}
