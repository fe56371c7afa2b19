//! Starting the program under test, just as its caller would.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use caps::{CapSet, Capability};
use nix::sys::signal::Signal::{SIGKILL, SIGSTOP};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};

use super::run::{Ending, Run};
use super::trial::Trial;
use super::verdict::{Broken, broken};
use crate::patience::patience;
use crate::sandbox::users;

/// One start of the step, in preparation.
#[must_use]
pub struct Start<'t> {
    trial: &'t Trial<'t>,
    program: PathBuf,
    prefix: &'t [OsString],
    options: Vec<OsString>,
    rootfs: Option<PathBuf>,
    store: Option<PathBuf>,
    command: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    blocked: SigSet,
    ignored: Vec<Signal>,
    without: Vec<Capability>,
    stderr: Option<File>,
    caller: Caller,
}

/// Who starts the step.
#[derive(Clone, Copy)]
enum Caller {
    /// Root of the sandbox.
    Root,
    /// An ordinary user, who may make user namespaces or not.
    Ordinary { may_make_namespaces: bool },
}

impl<'t> Start<'t> {
    /// The step with the trial's root file system, if it takes one, and no command yet.
    pub fn new(trial: &'t Trial<'t>) -> Start<'t> {
        Start {
            trial,
            program: trial.subject.program.clone(),
            prefix: &trial.subject.prefix,
            options: Vec::new(),
            rootfs: trial.takes_rootfs().then(|| trial.rootfs.clone()),
            store: None,
            command: Vec::new(),
            environment: Vec::new(),
            blocked: SigSet::empty(),
            ignored: Vec::new(),
            without: Vec::new(),
            stderr: None,
            caller: Caller::Root,
        }
    }

    /// The trial that this start belongs to.
    pub fn trial(&self) -> &'t Trial<'t> {
        self.trial
    }

    /// No step at all: the command itself, as a process of the host.
    pub fn on_the_host(mut self, command: &Path) -> Self {
        (self.program, self.prefix, self.rootfs) = (command.to_owned(), &[], None);
        self
    }

    /// Options of the step, before the root file system.
    pub fn options<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.options.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Another root file system.
    pub fn rootfs(mut self, path: impl Into<PathBuf>) -> Self {
        self.rootfs = Some(path.into());
        self
    }

    /// Another store of images than the trial's own.
    pub fn store(mut self, path: impl Into<PathBuf>) -> Self {
        self.store = Some(path.into());
        self
    }

    /// No argument at all.
    pub fn without_arguments(mut self) -> Self {
        self.rootfs = None;
        self
    }

    /// The command and its arguments.
    pub fn command<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.command = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// One variable of the caller's environment.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// A signal that the caller has blocked.
    pub fn blocking(mut self, signal: Signal) -> Self {
        self.blocked.add(signal);
        self
    }

    /// A signal that the caller ignores.
    pub fn ignoring(mut self, signal: Signal) -> Self {
        self.ignored.push(signal);
        self
    }

    /// A capability that neither the caller nor anybody below him has.
    pub fn without(mut self, capability: Capability) -> Self {
        self.without.push(capability);
        self
    }

    /// Standard error is this file, and nobody reads it.
    pub fn standard_error(mut self, file: File) -> Self {
        self.stderr = Some(file);
        self
    }

    /// By an ordinary user, without any privilege.
    pub fn by_an_ordinary_user(mut self) -> Self {
        self.caller = Caller::Ordinary { may_make_namespaces: true };
        self
    }

    /// By an ordinary user of a host that lets nobody make a user namespace.
    pub fn by_an_ordinary_user_without_namespaces(mut self) -> Self {
        self.caller = Caller::Ordinary { may_make_namespaces: false };
        self
    }

    /// Starts it.
    pub fn spawn(mut self) -> Result<Run> {
        if let Some(root) = self.rootfs.take_if(|_| self.trial.subject.step.takes_image()) {
            self.rootfs = Some(self.trial.as_image(&root)?);
            self.options.splice(0..0, ["--store".into(), self.place_of_images().into()]);
        }
        let mut command = self.trial.host.command(&self.program);
        command.args(self.prefix).args(&self.options).args(&self.rootfs).args(&self.command);
        command.envs(self.environment);
        let stderr = self.stderr.map_or_else(Stdio::piped, Stdio::from);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let Start { blocked, ignored, without, caller, .. } = self;
        let inherit = move || {
            if let Caller::Ordinary { may_make_namespaces } = caller {
                users::become_ordinary(may_make_namespaces)?;
            }
            for capability in &without {
                caps::drop(None, CapSet::Bounding, *capability).map_err(io::Error::other)?;
            }
            // Whatever started the grader may ignore some itself, as a shell does for its
            // background.
            for each in Signal::iterator().filter(|each| ![SIGKILL, SIGSTOP].contains(each)) {
                let is_ignored = ignored.contains(&each);
                let handler = if is_ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
                // SAFETY: neither is a handler, so there is nothing that could be unsound.
                unsafe { signal(each, handler) }?;
            }
            Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None)?)
        };
        // SAFETY: between fork and exec of a single-threaded process everything may be called.
        unsafe { command.pre_exec(inherit) };
        let child = command.spawn();
        Run::of(child.with_context(|| format!("start {}", self.program.display()))?)
    }

    /// Where the step keeps its images. What root has unpacked is of no use to others.
    fn place_of_images(&self) -> PathBuf {
        let name = match self.caller {
            Caller::Root => "store",
            Caller::Ordinary { .. } => "store-of-a-user",
        };
        self.store.clone().unwrap_or_else(|| self.trial.images().join(name))
    }

    /// Starts it with an empty standard input and waits for its end, which must come.
    pub fn finish(self) -> Result<Ending, Broken> {
        let mut run = self.spawn()?;
        run.close_stdin();
        run.end(patience() * 2).or_else(|error| broken("the step ends", format!("{error:#}")))
    }
}
