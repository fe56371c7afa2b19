//! The view: what a command sees inside of a container, facet by facet, as the kernel tells it.
//!
//! It is normalised (no process numbers, no inodes, nothing of this machine), so that the same file
//! is the regression test of a step, the specification that students are graded against, and the
//! listing in its chapter.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::Broken;
use crate::mountinfo::Mount;
use crate::subject::{Subject, SubjectOptions};

/// What `workshop view` is told.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    subject: SubjectOptions,
}

/// Prints the view of one step.
pub fn run(options: &Options) -> Result<ExitCode> {
    let view = of(&options.subject.subject()?)?;
    write!(io::stdout(), "{view}").context("write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// How far a facet of the command is the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The host's own.
    Shared,
    /// The host's, but less of it.
    Limited,
    /// The container's own.
    Own,
}

/// One facet of what a command sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facet {
    pub name: String,
    pub state: State,
    /// What the kernel shows, in lines.
    pub shown: Vec<String>,
}

/// All facets, in the order in which the steps change them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub facets: Vec<Facet>,
}

/// Runs the program in a throw-away host and looks at its command.
pub fn of(subject: &Subject) -> Result<View> {
    let look = subject.start(0, |trial| Ok(look(trial).map_err(explain)))?;
    look.finish()?.or_else(|reason: String| bail!("{reason}"))
}

fn explain(broken: Broken) -> String {
    match broken {
        Broken::Promise { expected, shown } => format!("expected: {expected}; shown: {shown}"),
        Broken::Unsupported(reason) => reason,
        Broken::Judge(error) => format!("{error:#}"),
    }
}

fn look(trial: &Trial) -> Result<View, Broken> {
    let outside = trial.start().agent_on_the_host()?;
    let mut inside = trial.start().agent()?;
    let pair = Pair { trial, inside: &inside.command, outside: &outside.command };
    let mut facets = vec![pair.root()?, pair.mount_table()?, pair.devices()?];
    let name = inside.must("hostname")?;
    let pair = Pair { trial, inside: &inside.command, outside: &outside.command };
    facets.push(pair.host_name(&name)?);
    facets.extend([
        pair.by_namespace("IPC objects", "ipc", "System V objects and message queues")?,
        pair.processes()?,
        pair.by_namespace("network", "net", "interfaces, addresses, routes and ports")?,
        pair.users()?,
        pair.by_namespace("clocks", "time", "boot time and monotonic clock")?,
        pair.by_namespace("control groups", "cgroup", "its group, as it sees it")?,
        pair.capabilities()?,
        pair.system_calls()?,
        pair.descriptors()?,
    ]);
    Ok(View { facets })
}

/// The same program inside and outside.
struct Pair<'t> {
    trial: &'t Trial<'t>,
    inside: &'t Process<'t>,
    outside: &'t Process<'t>,
}

impl Pair<'_> {
    fn root(&self) -> Result<Facet> {
        let rootfs = self.trial.rootfs_id()?;
        let (root, namespaces_root) = (self.inside.root()?, self.inside.joined()?.root);
        let (state, shown) = if root == self.outside.root()? {
            (State::Shared, "the host's")
        } else if root == rootfs && namespaces_root == rootfs {
            (State::Own, "ROOTFS, and the mount namespace has no other")
        } else if root == rootfs {
            (State::Limited, "ROOTFS, but the mount namespace's is still the host's")
        } else {
            (State::Limited, "neither the host's nor ROOTFS")
        };
        let cwd = self.inside.cwd()?;
        let directory = if cwd == root { "/" } else { "the caller's" };
        Ok(facet("root directory", state, [shown.into(), format!("working directory {directory}")]))
    }

    fn mount_table(&self) -> Result<Facet> {
        let name = "mount table";
        if !self.differs("mnt")? {
            return Ok(facet(name, State::Shared, ["the host's".into()]));
        }
        let mut mounts = self.inside.mounts()?;
        // Where nobody may make device nodes the host's are shown one by one; they are listed below.
        mounts.retain(|mount| !(mount.path.starts_with("/dev") && mount.root.as_os_str() != "/"));
        mounts.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(facet(name, State::Own, mounts.iter().map(describe_mount)))
    }

    fn devices(&self) -> Result<Facet> {
        let name = "devices";
        let Ok(dev) = self.inside.stat_inside("dev") else {
            return Ok(facet(name, State::Limited, ["there is no /dev".into()]));
        };
        if dev.st_dev == self.outside.stat_inside("dev")?.st_dev {
            return Ok(facet(name, State::Shared, ["the host's".into()]));
        }
        let mut names = self.inside.list_inside("dev")?;
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        Ok(facet(name, State::Own, [names.join(" ")]))
    }

    fn host_name(&self, name: &str) -> Result<Facet> {
        let own = self.differs("uts")?;
        let shown = if own { name } else { "the host's" };
        Ok(facet("host name", state(own), [shown.into()]))
    }

    fn processes(&self) -> Result<Facet> {
        let own = self.differs("pid")?;
        let shown = if own {
            let numbers = self.inside.status_field("NSpid")?;
            format!("the command is process {}", numbers.rsplit('\t').next().unwrap_or_default())
        } else {
            "the host's".to_owned()
        };
        Ok(facet("processes", state(own), [shown]))
    }

    fn users(&self) -> Result<Facet> {
        let own = self.differs("user")?;
        let shown = if own { "ids of its own" } else { "the host's" };
        Ok(facet("users", state(own), [shown.into()]))
    }

    fn capabilities(&self) -> Result<Facet> {
        let (inside, outside) = (self.inside.status()?, self.outside.status()?);
        let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
        let fewer: BTreeMap<&str, &String> = sets
            .into_iter()
            .filter(|set| inside.get(*set) != outside.get(*set))
            .filter_map(|set| Some((set, inside.get(set)?)))
            .collect();
        if fewer.is_empty() {
            return Ok(facet("capabilities", State::Shared, ["the caller's".into()]));
        }
        let lines = fewer.into_iter().map(|(set, bits)| format!("{set} {bits}"));
        Ok(facet("capabilities", State::Limited, lines))
    }

    fn system_calls(&self) -> Result<Facet> {
        let filters = |process: &Process| process.status_field("Seccomp_filters");
        let limited = filters(self.inside)? != filters(self.outside)?;
        let shown = if limited { "a filter" } else { "no filter of the container's" };
        let state = if limited { State::Limited } else { State::Shared };
        let privileges = match self.inside.status_field("NoNewPrivs")?.as_str() {
            "1" => "no new privileges",
            _ => "set-uid programs gain privileges",
        };
        Ok(facet("system calls", state, [shown.into(), privileges.into()]))
    }

    fn descriptors(&self) -> Result<Facet> {
        let open: Vec<String> = self.inside.descriptors()?.keys().map(i32::to_string).collect();
        Ok(facet("descriptors", State::Shared, [open.join(" ")]))
    }

    fn by_namespace(&self, name: &str, kind: &str, what: &str) -> Result<Facet> {
        let own = self.differs(kind)?;
        let shown = if own { format!("its own {what}") } else { "the host's".to_owned() };
        Ok(facet(name, state(own), [shown]))
    }

    fn differs(&self, namespace: &str) -> Result<bool> {
        Ok(self.inside.namespace(namespace)? != self.outside.namespace(namespace)?)
    }
}

fn state(own: bool) -> State {
    if own { State::Own } else { State::Shared }
}

fn facet(name: &str, state: State, shown: impl IntoIterator<Item = String>) -> Facet {
    Facet { name: name.to_owned(), state, shown: shown.into_iter().collect() }
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

impl Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for facet in &self.facets {
            let state = match facet.state {
                State::Shared => "shared",
                State::Limited => "limited",
                State::Own => "own",
            };
            for (number, line) in facet.shown.iter().enumerate() {
                let (name, state) = if number == 0 { (facet.name.as_str(), state) } else { ("", "") };
                writeln!(f, "{}", format!("{name:<15} {state:<8} {line}").trim_end())?;
            }
        }
        Ok(())
    }
}
