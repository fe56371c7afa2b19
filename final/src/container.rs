//! From an OCI runtime configuration to a process: the composition of the workshop's steps.

use std::convert::Infallible;
use std::env;
use std::process::ExitCode;

use anyhow::Context;
use fork_exec::{CommandLine, exec, fork, wait};
use mount_ns::{make_devices, mount_all, private_mounts};
use nix::env::clearenv;
use nix::unistd::chdir;
use oci_spec::runtime::{Process, Spec};
use pivot_root::{bind_root, pivot_root};

/// Runs the container that `spec` describes, and returns the status of its process.
pub fn run(spec: &Spec) -> anyhow::Result<ExitCode> {
    let child = fork(|| container(spec))?;
    wait(&child)
}

/// What the child does between fork and exec.
fn container(spec: &Spec) -> anyhow::Result<Infallible> {
    let root = spec.root().as_ref().context("the configuration has no root")?;
    let process = spec.process().as_ref().context("the configuration has no process")?;

    private_mounts()?;
    let root = bind_root(root.path())?;
    mount_all(&root, spec.mounts().as_deref().unwrap_or_default())?;
    make_devices(&root)?;
    pivot_root(&root)?;
    start(process)
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
