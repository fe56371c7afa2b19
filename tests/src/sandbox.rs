//! A throw-away host for one program.
//!
//! What runs in here has mounts, processes, network, IPC objects, host name and control group of
//! its own. Its root is made of overlays of the real one whose changes live in memory, and it is
//! mounted *shared*, as a host's root is. Started by an ordinary user, a user namespace makes him
//! root inside.
//!
//! The process that judges stands half outside: it shares everything with the program but the
//! process-id namespace, so the program can neither see nor kill it, and it keeps the outer `/proc`
//! open, through which the kernel tells it everything about every process inside.
//!
//! ```text
//! grader ── fork ──> host process (judges; outer process ids)
//!                      ├── init of the sandbox (PID 1; reaps orphans, takes everything with it)
//!                      └── the program under test, and whatever it starts
//! ```
//!
//! This protects from mistakes, not from malice: see [`guard`] for what is taken away.
//!
//! Read [`Sandbox::start`] first, then [`Host::make`], then the files in the order in which these
//! call them:
//!
//! - [`users`]: by what right; [`layers`]: where changes lie; [`limits`]: its groups, in the
//!   [`cgroups`] of this host; [`fork`]: another process
//! - [`loopback`]: its network; [`root`]: its files, with [`devices`], out of [`mounts`];
//!   [`init`]: its first process
//! - [`guard`]: what each program inside is kept from
//! - [`lease`]: how nothing of all this is left behind

pub mod cgroups;
mod devices;
pub mod fork;
mod guard;
mod init;
pub mod layers;
pub mod lease;
pub mod limits;
mod loopback;
mod mounts;
mod root;
pub mod users;

use std::env;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::stat::Mode;
use nix::sys::wait::wait;
use nix::unistd::{chdir, sethostname};
use serde::Serialize;
use serde::de::DeserializeOwned;

use fork::Pending;
use guard::Guard;
use init::Init;
use layers::Layers;
use limits::Group;
use users::Privilege;

/// What a throw-away host is made of.
pub struct Sandbox {
    /// Files and directories that must be visible inside under their own paths, even where the
    /// sandbox has a fresh directory (`/tmp`, `/run` …); sorted, so that a directory comes before
    /// what lies in it and is shown with it.
    pub shares: Vec<PathBuf>,
    /// Directories that are shown at another place too.
    pub overlays: Vec<Overlay>,
    /// After this long everything inside is killed.
    pub time_limit: Duration,
    /// Whether what runs inside stays in the caller's session, for a person at a terminal.
    pub terminal: bool,
}

/// A directory of the host, shown as an overlay of its own: what changes in it is thrown away, and
/// who makes the sandbox may write to its top, whoever owns it.
pub struct Overlay {
    /// The directory.
    pub of: PathBuf,
    /// Where it is shown inside.
    pub at: PathBuf,
}

impl Sandbox {
    /// Forks, turns the child into a throw-away host and lets it do `work` there.
    ///
    /// Must be called in a process with one thread: the child goes on running Rust code.
    pub fn start<T>(self, work: impl FnOnce(&Host) -> Result<T>) -> Result<Pending<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        let privilege = Privilege::of_caller();
        let layers = Layers::choose(privilege)?;
        let group = Group::make();
        // Where the judging process is killed, its init becomes our child, for `wait_for_the_last`.
        set_child_subreaper(true).context("prctl PR_SET_CHILD_SUBREAPER")?;
        let pending = fork::start(self.time_limit, || {
            let host = Host::make(&self, privilege, &group, &layers)
                .context("no throw-away host can be made here (see `cargo workshop doctor`)")?;
            work(&host)
        })?;
        Ok(pending.keeping(group).keeping(layers))
    }
}

/// Waits until nothing runs any more in any sandbox. To be called when all work is done or dropped.
pub fn wait_for_the_last() {
    while wait().is_ok() {}
}

/// The throw-away host, seen by the process that made it.
pub struct Host {
    /// `/proc` of the outer process-id namespace.
    pub outer_proc: OwnedFd,
    /// `/proc` of its own, even after a program has unmounted it.
    pub inner_proc: OwnedFd,
    guard: Guard,
    _init: Init,
}

impl Host {
    /// Moves this process into a throw-away host.
    fn make(
        sandbox: &Sandbox,
        privilege: Privilege,
        group: &Group,
        layers: &Layers,
    ) -> Result<Host> {
        let outer_proc = open_proc()?;
        let here = env::current_dir().unwrap_or_else(|_| "/".into());
        let guard = Guard::prepare(group, privilege, !sandbox.terminal)?;
        privilege.acquire()?;
        group.make_namespace()?;
        unshare(
            CloneFlags::CLONE_NEWNS
                | CloneFlags::CLONE_NEWPID
                | CloneFlags::CLONE_NEWNET
                | CloneFlags::CLONE_NEWIPC
                | CloneFlags::CLONE_NEWUTS,
        )
        .context("unshare the mount, PID, network, IPC and UTS namespaces")?;
        sethostname("sandbox").context("sethostname")?;
        loopback::up().context("bring up the loopback interface")?;

        let root = root::build(sandbox, layers)?;
        group.mount(&root)?;
        // A new /proc and /sys may only be mounted in a user namespace while the old ones can still
        // be seen in full (mount_namespaces(7)), so init mounts /proc before the root changes.
        let init = Init::start(&root)?;
        root::enter(&root)?;
        // Like a host's: whoever forgets to change the propagation of his own mounts will leak
        // them.
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>)
            .context("mount / shared")?;
        if chdir(&here).is_err() {
            chdir("/").context("chdir to /")?;
        }
        Ok(Host { outer_proc, inner_proc: open_proc()?, guard, _init: init })
    }

    /// A command that will run inside: as a member of the sandbox's process-id namespace and
    /// control group, within its limits, with no descriptor but 0, 1 and 2.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let guard = self.guard.clone();
        // SAFETY: between fork and exec of a single-threaded process everything may be called;
        // `confine` does system calls only.
        unsafe { command.pre_exec(move || guard.confine()) };
        command
    }
}

fn open_proc() -> Result<OwnedFd> {
    open("/proc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).context("open /proc")
}
