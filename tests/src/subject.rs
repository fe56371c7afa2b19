//! The program under test: which one, as which step, and a throw-away host for it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::executables::is_executable;
use crate::judge::random::Random;
use crate::judge::trial::Trial;
use crate::patience::stretched;
use crate::sandbox::fork::Pending;
use crate::sandbox::{Overlay, Sandbox};
use crate::steps::Step;

/// How long one look at the program may take in all; only a program that hangs ever takes so long.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// What the commands are told that look at a program.
#[derive(Args, Debug, PartialEq)]
pub struct SubjectOptions {
    /// The step that it is: `03`, `pivot-root` or `03-pivot-root`.
    #[arg(long, value_name = "STEP")]
    step: String,
    /// The program.
    #[arg(long, value_name = "PATH")]
    bin: PathBuf,
    /// An argument that comes before all others (`cooper` wants `--arg run`); may be repeated.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    arg: Vec<OsString>,
    /// A root file system to give to the step instead of a nearly empty one.
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Draw names and numbers from this seed, to repeat a run exactly.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// One program, as one step.
pub struct Subject {
    /// As which step.
    pub step: &'static Step,
    /// Where it lies.
    pub program: PathBuf,
    /// What comes before the step's own arguments.
    pub prefix: Vec<OsString>,
    /// The root file system to give to it, instead of a nearly empty one.
    pub rootfs: Option<PathBuf>,
    /// Where names and numbers are drawn from.
    pub seed: u64,
}

impl SubjectOptions {
    /// Looks whether all of it exists, and whether anything can be judged here.
    pub fn subject(&self) -> Result<Subject> {
        let program = self.program()?;
        let step = Step::find(&self.step)?;
        let subject = Subject {
            step,
            program,
            prefix: self.arg.clone(),
            rootfs: self.rootfs.as_deref().map(directory).transpose()?,
            seed: self.seed.unwrap_or_else(seed_from_the_clock),
        };
        // What cannot be done at all is said once, and not by every check.
        subject.start(0, |_| Ok(()))?.finish()?;
        Ok(subject)
    }

    /// The program, by its absolute path.
    pub fn program(&self) -> Result<PathBuf> {
        let program = fs::canonicalize(&self.bin)
            .with_context(|| format!("find the program {}", self.bin.display()))?;
        if !is_executable(&program) {
            bail!("{} is not a program: it must be a file that may be executed", program.display());
        }
        Ok(program)
    }

    /// The root file system that was named, if one was.
    pub fn rootfs(&self) -> Option<&Path> {
        self.rootfs.as_deref()
    }

    /// The same as words of a command line that means the same wherever it is read.
    pub fn words(&self) -> Result<Vec<OsString>> {
        let mut words = vec!["--step".into(), self.step.clone().into()];
        words.extend(["--bin".into(), self.program()?.into()]);
        for argument in &self.arg {
            words.extend(["--arg".into(), argument.clone()]);
        }
        if let Some(rootfs) = &self.rootfs {
            let rootfs = std::path::absolute(rootfs).context("find the root file system")?;
            words.extend(["--rootfs".into(), rootfs.into()]);
        }
        if let Some(seed) = self.seed {
            words.extend(["--seed".into(), seed.to_string().into()]);
        }
        Ok(words)
    }
}

impl Subject {
    /// Starts `look` in a throw-away host. `turn` tells the looks at one program apart.
    pub fn start<T>(
        &self,
        turn: usize,
        look: impl FnOnce(&Trial) -> Result<T>,
    ) -> Result<Pending<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        let random = Random::new(self.seed.wrapping_add(turn as u64));
        let rootfs = Path::new("/tmp").join(random.word()).join("rootfs");
        let overlays =
            self.rootfs.iter().map(|of| Overlay { of: of.clone(), at: rootfs.clone() }).collect();
        let mut shares = vec![self.program.clone()];
        // A script may need what lies beside it; but all of /tmp is too much to show.
        let parent = self.program.parent().filter(|dir| dir.components().count() > 2);
        shares.extend(parent.map(Path::to_owned));
        shares.sort();
        Sandbox { shares, overlays, time_limit: stretched(TIME_LIMIT), terminal: false }
            .start(|host| look(&Trial::prepare(host, self, rootfs, random)?))
    }
}

fn directory(path: &Path) -> Result<PathBuf> {
    let path = fs::canonicalize(path).with_context(|| format!("find {}", path.display()))?;
    if !path.is_dir() {
        bail!("{} is not a directory", path.display());
    }
    Ok(path)
}

/// A seed that nobody knows before.
pub fn seed_from_the_clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ now.as_secs()
}
