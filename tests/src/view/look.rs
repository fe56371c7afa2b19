//! Looking at a container, and comparing what the kernel shows of it with the host.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result};

use super::{Facet, State, View, limits};
use crate::judge::agent::Agent;
use crate::judge::kernel::Process;
use crate::judge::network::interfaces_of_a_new_namespace;
use crate::judge::trial::Trial;
use crate::judge::verdict::Broken;
use crate::mountinfo::Mount;

/// Runs the probe inside and outside, and compares the two, facet by facet.
pub fn look(trial: &Trial) -> Result<View, Broken> {
    let mut outside = trial.start().agent_on_the_host()?;
    let mut inside = trial.start().options(limits::options(trial)?).agent()?;
    let names = [outside.must("hostname")?, inside.must("hostname")?];
    let files = files(trial, &mut inside)?;
    let pair = Pair { trial, inside: &inside.command, outside: &outside.command };
    let mut facets = vec![
        pair.root()?,
        pair.mount_table()?,
        pair.devices()?,
        pair.host_name(&names)?,
        pair.by_namespace("IPC objects", "ipc", "System V objects and message queues")?,
        pair.processes()?,
        pair.network()?,
        pair.users()?,
        pair.by_namespace("clocks", "time", "boot time and monotonic clock")?,
        pair.by_namespace("control groups", "cgroup", "root of the control groups")?,
    ];
    facets.extend(limits::facets(trial, pair.outside, pair.inside)?);
    facets.extend([files, pair.capabilities()?, pair.system_calls()?, pair.descriptors()?]);
    Ok(View { facets })
}

/// Whether what the command changes in ROOTFS changes there.
fn files(trial: &Trial, inside: &mut Agent) -> Result<Facet, Broken> {
    let name = trial.word();
    inside.must(&format!("write {} {name}", trial.inside(&name).display()))?;
    let is_there = match fs::remove_file(trial.outside(&format!("checks/{name}"))) {
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        removed => removed.map(|()| true).context("remove what the command made")?,
    };
    let shown = if is_there { "the host's" } else { "changes are its own: ROOTFS stays as it is" };
    let hosts = if is_there { "one file more" } else { "no file more" };
    let witness = [hosts.into(), "one file more".into()];
    Ok(facet("files of ROOTFS", state(!is_there), [shown.into()], witness))
}

/// The same program inside and outside.
struct Pair<'t> {
    trial: &'t Trial<'t>,
    inside: &'t Process<'t>,
    outside: &'t Process<'t>,
}

impl Pair<'_> {
    fn root(&self) -> Result<Facet> {
        let rootfs = self.trial.due_root(self.inside)?;
        let (root, namespaces_root) = (self.inside.root()?, self.inside.joined()?.root);
        let (state, shown, in_short) = if root == self.outside.root()? {
            (State::Shared, "the host's", "/")
        } else if root == rootfs && namespaces_root == rootfs {
            let layered = rootfs != self.trial.rootfs_id()?;
            let (shown, in_short) = if layered {
                (
                    "ROOTFS beneath a layer of its own, and the mount namespace has no other",
                    "layers and no other",
                )
            } else {
                ("ROOTFS, and the mount namespace has no other", "rootfs and no other")
            };
            (State::Own, shown, in_short)
        } else if root == rootfs {
            let shown = "ROOTFS, but the mount namespace's is still the host's";
            (State::Limited, shown, "rootfs within the host's")
        } else {
            (State::Limited, "neither the host's nor ROOTFS", "another")
        };
        let cwd = self.inside.cwd()?;
        let directory = if cwd == root { "/" } else { "the caller's" };
        let lines = [shown.into(), format!("working directory {directory}")];
        Ok(facet("root directory", state, lines, ["/".into(), in_short.into()]))
    }

    fn mount_table(&self) -> Result<Facet> {
        let witness =
            self.witness("mnt", |process| Ok(counted(process.mounts()?.len(), "mount")))?;
        if !self.differs("mnt")? {
            return Ok(facet("mount table", State::Shared, ["the host's".into()], witness));
        }
        let mut mounts = self.inside.mounts()?;
        // Where nobody may make device nodes the host's are shown one by one: they are in
        // `devices`.
        mounts.retain(|mount| !(mount.path.starts_with("/dev") && mount.root.as_os_str() != "/"));
        // Step 10 shows the control groups, but only where the host has version 2.
        mounts.retain(|mount| mount.kind != "cgroup2");
        mounts.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(facet("mount table", State::Own, mounts.iter().map(describe_mount), witness))
    }

    fn devices(&self) -> Result<Facet> {
        let count = |process: &Process| {
            process.list_inside("dev").map_or("no /dev".to_owned(), |names| {
                let names = names.iter().filter(|name| !name.starts_with('.'));
                format!("{} in /dev", counted(names.count(), "name"))
            })
        };
        let witness = [count(self.outside), count(self.inside)];
        let name = "devices";
        // What every program relies on, and the first thing that a bare directory lacks.
        let Ok(null) = self.inside.stat_inside("dev/null") else {
            return Ok(facet(name, State::Limited, ["there are none".into()], witness));
        };
        if null.st_dev == self.outside.stat_inside("dev/null")?.st_dev && !self.differs("mnt")? {
            return Ok(facet(name, State::Shared, ["the host's".into()], witness));
        }
        let mut names = self.inside.list_inside("dev")?;
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        Ok(facet(name, State::Own, [names.join(" ")], witness))
    }

    fn host_name(&self, names: &[String; 2]) -> Result<Facet> {
        let own = self.differs("uts")?;
        let shown = if own { names[1].clone() } else { "the host's".into() };
        let [outside, inside] = self.witness("uts", |_| Ok(String::new()))?;
        let witness = [format!("{} {outside}", names[0]), format!("{} {inside}", names[1])];
        Ok(facet("host name", state(own), [shown], witness))
    }

    fn processes(&self) -> Result<Facet> {
        let number = |process: &Process| -> Result<String> {
            let numbers = process.status_field("NSpid")?;
            Ok(numbers.rsplit('\t').next().unwrap_or_default().to_owned())
        };
        let own = self.differs("pid")?;
        let shown = if own {
            format!("the command is process {}", number(self.inside)?)
        } else {
            "the host's".into()
        };
        let witness = self.witness("pid", |process| Ok(format!("number {}", number(process)?)))?;
        Ok(facet("processes", state(own), [shown], witness))
    }

    fn network(&self) -> Result<Facet> {
        let mut facet =
            self.by_namespace("network", "net", "interfaces, addresses, routes and ports")?;
        if facet.state == State::Own {
            // Some kernels put more into a new namespace than the only one that counts.
            let new = interfaces_of_a_new_namespace(self.trial)?;
            let mut names = self.inside.interfaces()?;
            names.retain(|name| name == "lo" || !new.contains(name));
            facet.shown.push(format!("interfaces {}", Vec::from_iter(names).join(" ")));
        }
        Ok(facet)
    }

    fn users(&self) -> Result<Facet> {
        let own = self.differs("user")?;
        let witness = self.witness("user", |_| Ok(String::new()))?;
        if !own {
            return Ok(facet("users", State::Shared, ["the host's".into()], witness));
        }
        let setgroups = self.inside.text("setgroups")?;
        let lines = [
            format!("uids: {}", describe_map(&self.inside.id_map("uid_map")?)),
            format!("gids: {}", describe_map(&self.inside.id_map("gid_map")?)),
            format!("setgroups: {}", setgroups.trim()),
        ];
        Ok(facet("users", State::Own, lines, witness))
    }

    fn capabilities(&self) -> Result<Facet> {
        let (inside, outside) = (self.inside.status()?, self.outside.status()?);
        let effective = |status: &BTreeMap<String, String>| {
            format!("CapEff {}", status.get("CapEff").map_or("?", String::as_str))
        };
        let witness = [effective(&outside), effective(&inside)];
        if self.differs("user")? {
            // How many there are depends on the kernel.
            let shown = "none outside of its own namespaces";
            return Ok(facet("capabilities", State::Limited, [shown.into()], witness));
        }
        let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
        let fewer: Vec<String> = sets
            .into_iter()
            .filter(|set| inside.get(*set) != outside.get(*set))
            .filter_map(|set| Some(format!("{set} {}", inside.get(set)?)))
            .collect();
        Ok(if fewer.is_empty() {
            facet("capabilities", State::Shared, ["the caller's".into()], witness)
        } else {
            facet("capabilities", State::Limited, fewer, witness)
        })
    }

    fn system_calls(&self) -> Result<Facet> {
        let filters = |process: &Process| -> Result<String> {
            let count = process.status_field("Seccomp_filters")?;
            // Kernels before 5.9 do not count them.
            Ok(count.parse().map_or("? filters".to_owned(), |count| counted(count, "filter")))
        };
        let witness = [filters(self.outside)?, filters(self.inside)?];
        let limited = witness[0] != witness[1];
        let shown = if limited { "a filter" } else { "no filter of the container's" };
        let state = if limited { State::Limited } else { State::Shared };
        let privileges = match self.inside.status_field("NoNewPrivs")?.as_str() {
            "1" => "no new privileges",
            _ => "set-uid programs gain privileges",
        };
        Ok(facet("system calls", state, [shown.into(), privileges.into()], witness))
    }

    fn descriptors(&self) -> Result<Facet> {
        let open = |process: &Process| -> Result<String> {
            let numbers: Vec<String> = process.descriptors()?.keys().map(i32::to_string).collect();
            Ok(numbers.join(" "))
        };
        let inside = open(self.inside)?;
        let witness = [open(self.outside)?, inside.clone()];
        Ok(facet("descriptors", State::Shared, [inside], witness))
    }

    fn by_namespace(&self, name: &str, kind: &str, what: &str) -> Result<Facet> {
        let own = self.differs(kind)?;
        let shown = if own { format!("its own {what}") } else { "the host's".to_owned() };
        Ok(facet(name, state(own), [shown], self.witness(kind, |_| Ok(String::new()))?))
    }

    fn differs(&self, namespace: &str) -> Result<bool> {
        Ok(self.inside.namespace(namespace)? != self.outside.namespace(namespace)?)
    }

    /// Something of both, with the number of the namespace that it belongs to.
    fn witness(
        &self,
        namespace: &str,
        of: impl Fn(&Process) -> Result<String>,
    ) -> Result<[String; 2]> {
        let line = |process: &Process| -> Result<String> {
            let number = process.namespace(namespace)?;
            Ok(format!("{} {namespace}:[{number}]", of(process)?).trim_start().to_owned())
        };
        Ok([line(self.outside)?, line(self.inside)?])
    }
}

fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn state(own: bool) -> State {
    if own { State::Own } else { State::Shared }
}

fn facet(
    name: &str,
    state: State,
    shown: impl IntoIterator<Item = String>,
    witness: [String; 2],
) -> Facet {
    Facet { name: name.to_owned(), state, shown: shown.into_iter().collect(), witness }
}

/// A map without what differs from caller to caller: who he is, and what he was granted.
fn describe_map(lines: &[[u32; 3]]) -> String {
    match lines {
        [] => "nobody".into(),
        [[inside, _, 1]] => format!("{inside} is the caller, and nobody else exists"),
        _ => "the caller, and the ids that he was granted".into(),
    }
}

/// A mount without what differs from machine to machine.
fn describe_mount(mount: &Mount) -> String {
    let path = mount.path.display().to_string();
    let options: Vec<&str> =
        mount.options.split(',').filter(|option| !option.ends_with("atime")).collect();
    let kind = if path == "/" { "ROOTFS" } else { &mount.kind };
    let propagation = mount.propagation.split(':').next().unwrap_or_default();
    let line = format!("{path:<12} {kind:<8} {:<28} {propagation}", options.join(","));
    line.trim_end().to_owned()
}
