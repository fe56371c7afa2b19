//! `cooper run`: from options to an OCI runtime configuration.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use anyhow::Context;
use cgroup_cpu::CpuOptions;
use cgroup_memory::MemoryOptions;
use cgroup_ns::{CgroupOptions, with_cgroups};
use cgroup_pids_io::PidsIoOptions;
use fork_exec::CommandLine;
use image::ImageOptions;
use mount_ns::default_mounts;
use net_ns::NetOptions;
use nix::unistd::getgid;
use oci_spec::runtime::Spec;
use overlay::OverlayOptions;
use pid_ns::PidOptions;
use serde_json::json;
use time_ns::TimeOptions;
use user_ns::{UserOptions, Users};
use uts_ns::UtsOptions;

use crate::root::Root;
use crate::{container, network, resources, users};

/// Where Docker lets a container look for commands if its image does not say.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a container has for itself. Without `--hostname` the new UTS namespace keeps the host's name:
/// Docker names a container after its id, and a name made up for one that has no id would lead to
/// nothing.
const NAMESPACES: [&str; 6] = ["pid", "uts", "ipc", "mount", "time", "cgroup"];

/// Create and run a new container
#[derive(clap::Args)]
pub struct RunOptions {
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
    /// The name of an image that is loaded, or `PATH[:TAG]` of an archive or a layout, or the
    /// directories of a root file system, TOP:…:BOTTOM
    image: OsString,
    #[command(flatten)]
    command: CommandLine,
}

/// Runs the container in the foreground, and ends as its command ends.
pub fn run(options: &RunOptions) -> anyhow::Result<ExitCode> {
    container::run(&configuration(options)?)
}

/// What `config.json` would hold: exactly what will be done, and nothing that will not. The fields
/// are those of the runtime specification's `config.md` and `config-linux.md`.
fn configuration(options: &RunOptions) -> anyhow::Result<Spec> {
    let args: Vec<_> =
        options.command.words.iter().map(|word| utf8(word)).collect::<anyhow::Result<_>>()?;
    let users = options.user.users()?;
    let mounts = with_cgroups(users.mounts(default_mounts(), &options.net.network()?));
    // Whoever is not root has users of his own, among whom he is.
    let gid = if let Users::Own { .. } = users { 0 } else { getgid().as_raw() };
    let mut configuration = json!({
        "ociVersion": "1.2.0",
        "process": {
            "args": args,
            "env": environment()?,
            "cwd": "/",
            "user": { "uid": 0, "gid": gid },
        },
        "mounts": mounts,
        "linux": { "namespaces": NAMESPACES.map(|kind| json!({ "type": kind })) },
    });
    if let Some(name) = &options.uts.hostname {
        configuration["hostname"] = utf8(name)?.into();
    }
    let root = Root::find(&options.image, &options.store, &users)?;
    root.describe(&options.overlay, &mut configuration)?;
    network::describe(&options.net, &mut configuration)?;
    users::describe(&users, &mut configuration)?;
    if options.time.uptime.is_some() {
        configuration["linux"]["timeOffsets"] = json!(options.time.offsets()?);
    }
    if let Some(path) = options.cgroup.path()? {
        configuration["linux"]["cgroupsPath"] = utf8(path.as_os_str())?.into();
    }
    resources::describe_cpu(&options.cpu, &mut configuration);
    resources::describe_memory(&options.memory, &mut configuration);
    resources::describe_pids_io(&options.pids_io, &mut configuration);
    if options.pid.init {
        configuration["annotations"][container::INIT] = "true".into();
    }
    serde_json::from_value(configuration).context("put the runtime configuration together")
}

/// A container does not inherit the environment of whoever starts it: it is to run the same
/// everywhere. Only the terminal is the caller's, and so is its name.
fn environment() -> anyhow::Result<Vec<String>> {
    let mut environment = vec![PATH.into(), "HOME=/root".into()];
    if let Some(terminal) = env::var_os("TERM") {
        environment.push(format!("TERM={}", utf8(&terminal)?));
    }
    Ok(environment)
}

/// A configuration is JSON, and so it is text.
pub fn utf8(text: &OsStr) -> anyhow::Result<&str> {
    text.to_str().with_context(|| {
        format!(
            "'{}' is not UTF-8, and an OCI configuration cannot hold anything else",
            text.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use clap::{FromArgMatches, Parser};
    use fork_exec::command_of;

    use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};

    use super::container::{INIT, annotation};
    use super::{RunOptions, Spec, Users, configuration, default_mounts, users, with_cgroups};
    use crate::root::{LAYERS, UPPER};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: RunOptions,
    }

    fn spec(words: &[&str]) -> Spec {
        let matches = command_of::<Line>().get_matches_from(words);
        configuration(&Line::from_arg_matches(&matches).unwrap().options).unwrap()
    }

    #[test]
    fn options_become_a_configuration() {
        let spec = spec(&["run", "/srv/alpine", "echo", "--", "a b"]);
        let process = spec.process().as_ref().unwrap();
        assert_eq!(spec.root().as_ref().unwrap().path(), "/srv/alpine");
        assert_eq!(process.args().as_ref().unwrap(), &["echo", "--", "a b"]);
        assert_eq!(spec.mounts().as_ref().unwrap(), &with_cgroups(default_mounts()));
        // What the type would add by itself, and nobody here carries out.
        assert!(spec.hostname().is_none() && process.capabilities().is_none());
        let annotations = spec.annotations().clone().unwrap();
        assert_eq!(
            annotations.into_iter().collect::<Vec<_>>(),
            [(LAYERS.into(), "/srv/alpine".into())]
        );
    }

    #[test]
    fn a_host_name_and_an_init_are_written_down() {
        let spec = spec(&["run", "--hostname", "barrel", "--init", "/srv/alpine", "sh"]);
        assert_eq!(spec.hostname().as_deref(), Some("barrel"));
        assert_eq!(spec.annotations().as_ref().unwrap()[INIT], "true");
    }

    #[test]
    fn a_network_is_a_namespace_and_what_connects_it_an_annotation() {
        let kinds = |spec: &Spec| -> Vec<LinuxNamespaceType> {
            let namespaces = spec.linux().as_ref().unwrap().namespaces().as_ref().unwrap();
            namespaces.iter().map(LinuxNamespace::typ).collect()
        };
        let none = spec(&["run", "/srv/alpine", "sh"]);
        assert!(kinds(&none).contains(&LinuxNamespaceType::Network));
        assert_eq!(annotation(&none, "cooper.network"), None);
        let host = spec(&["run", "--network", "host", "/srv/alpine", "sh"]);
        assert!(!kinds(&host).contains(&LinuxNamespaceType::Network));
        let words = ["run", "--network", "bridge", "--ip", "10.209.0.9", "/srv/alpine", "sh"];
        let annotations = spec(&words).annotations().clone().unwrap();
        assert_eq!(annotations["cooper.network"], "bridge");
        assert_eq!(annotations["cooper.network.ip"], "10.209.0.9");
    }

    #[test]
    fn layers_and_what_keeps_the_changes_are_annotations() {
        let spec = spec(&["run", "--upper", "/srv/changes", "/srv/top:/srv/base", "sh"]);
        assert_eq!(spec.root().as_ref().unwrap().path(), "/srv/top");
        assert_eq!(annotation(&spec, LAYERS), Some("/srv/top:/srv/base"));
        assert_eq!(annotation(&spec, UPPER), Some("/srv/changes"));
    }

    #[test]
    fn users_are_a_namespace_and_its_maps() {
        let spec = spec(&["run", "--userns", "/srv/alpine", "sh"]);
        let linux = spec.linux().as_ref().unwrap();
        for mappings in [linux.uid_mappings(), linux.gid_mappings()] {
            let first = mappings.as_ref().unwrap()[0];
            assert_eq!((first.container_id(), first.size()), (0, 1));
        }
        assert!(matches!(users::users(&spec).unwrap(), Users::Own { .. }));
    }

    #[test]
    fn an_uptime_and_a_parent_of_the_group_are_written_down() {
        let spec =
            spec(&["run", "--uptime", "60", "--cgroup-parent", "/ours", "/srv/alpine", "sh"]);
        let linux = spec.linux().as_ref().unwrap();
        let mut clocks: Vec<_> = linux.time_offsets().as_ref().unwrap().keys().collect();
        clocks.sort_unstable();
        assert_eq!(clocks, ["boottime", "monotonic"]);
        let path = linux.cgroups_path().as_ref().unwrap();
        assert_eq!(path.parent(), Some("/ours".as_ref()));
    }
    #[test]
    fn a_number_of_cpus_is_written_down_as_quota_and_period() {
        let linux = spec(&["run", "--cpus", "0.2", "/srv/alpine", "sh"]).linux().clone().unwrap();
        let cpu = linux.resources().clone().unwrap().cpu().clone().unwrap();
        assert_eq!((cpu.quota(), cpu.period()), (Some(20_000), Some(100_000)));
        let linux = spec(&["run", "/srv/alpine", "sh"]).linux().clone().unwrap();
        assert!(linux.resources().is_none());
    }
    #[test]
    fn an_amount_of_memory_is_written_down_with_no_swap_beyond_it() {
        let linux = spec(&["run", "-m", "32m", "/srv/alpine", "sh"]).linux().clone().unwrap();
        let memory = linux.resources().clone().unwrap().memory().unwrap();
        assert_eq!((memory.limit(), memory.swap()), (Some(32 << 20), Some(32 << 20)));
    }

    #[test]
    fn a_number_of_processes_is_written_down() {
        let words = ["run", "--pids-limit", "16", "/srv/alpine", "sh"];
        let resources = spec(&words).linux().clone().unwrap().resources().clone().unwrap();
        assert_eq!(resources.pids().unwrap().limit(), 16);
        assert!(resources.block_io().is_none());
    }
}
