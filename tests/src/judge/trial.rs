//! What one check has in its hands.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::stat::{Mode, stat, umask};

use super::kernel::{FileId, Process};
use super::random::Random;
use super::start::Start;
use crate::mountinfo::Mount;
use crate::sandbox::Host;
use crate::subject::Subject;

/// The probe, which `build.rs` compiled.
pub static PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe"));

/// The directory of a root file system in which the checks put what they need.
const CHECKS: &str = "checks";

/// One check's own throw-away host, with the program under test and a root file system for it.
pub struct Trial<'t> {
    /// The throw-away host.
    pub host: &'t Host,
    /// The program under test.
    pub subject: &'t Subject,
    /// The root file system that the step is given, as the host sees it.
    pub rootfs: PathBuf,
    /// A file in it that nobody can know before, below [`CHECKS`].
    mark: String,
    /// The directories of the caller's `PATH` that may be searched.
    path: Vec<PathBuf>,
    random: Random,
}

impl<'t> Trial<'t> {
    /// Puts what the checks need into the root file system: the subject's, which the sandbox shows
    /// at this path, or else a new one with nothing in it.
    pub fn prepare(
        host: &'t Host,
        subject: &'t Subject,
        rootfs: PathBuf,
        random: Random,
    ) -> Result<Trial<'t>> {
        // The same files for every caller.
        umask(Mode::from_bits_truncate(0o022));
        fs::create_dir_all(&rootfs).context("make the root file system")?;
        write_fixture(&rootfs.join(CHECKS))?;
        // The caller of the step stands in a directory that is neither root.
        let beside = rootfs.parent().context("ROOTFS lies in no directory")?;
        env::set_current_dir(beside).context("chdir to the directory of ROOTFS")?;
        if subject.step.takes_image() {
            fs::create_dir(beside.join("images")).context("make a directory for images")?;
        }
        let mark = random.word();
        fs::write(rootfs.join(CHECKS).join(&mark), "").context("mark the root file system")?;
        Ok(Trial { host, subject, rootfs, mark, path: callers_path(), random })
    }

    /// A start of the step.
    pub fn start(&self) -> Start<'_> {
        let path = env::join_paths(self.path().chain([self.inside("")]));
        // Messages in English, and no complaint about a locale that this machine does not have.
        Start::new(self).variable("PATH", path.unwrap_or_default()).variable("LC_ALL", "C")
    }

    /// The directories of the caller's `PATH`, for steps that look for tools of their own.
    pub fn path(&self) -> impl Iterator<Item = PathBuf> {
        self.path.iter().cloned()
    }

    /// Whether this step has a root file system among its arguments.
    pub fn takes_rootfs(&self) -> bool {
        self.subject.step.takes_rootfs()
    }

    /// The path under which the command finds one of the checks' files.
    pub fn inside(&self, name: &str) -> PathBuf {
        let root = if self.takes_rootfs() { Path::new("/") } else { &self.rootfs };
        root.join(CHECKS).join(name)
    }

    /// The path under which the host finds a file of the root file system.
    pub fn outside(&self, path: &str) -> PathBuf {
        self.rootfs.join(path)
    }

    /// A word that nobody can know before.
    pub fn word(&self) -> String {
        self.random.word()
    }

    /// A number of the range that nobody can know before.
    pub fn number(&self, range: Range<i32>) -> i32 {
        self.random.number(range)
    }

    /// ROOTFS, as a file.
    pub fn rootfs_id(&self) -> Result<FileId> {
        Ok(stat(&self.rootfs).context("stat the root file system")?.into())
    }

    /// The directory that must be the root of a container's process: ROOTFS itself, or, from step
    /// 14 on, one that is not the host's and shows what is in ROOTFS.
    pub fn due_root(&self, process: &Process) -> Result<FileId> {
        let root = process.root()?;
        let shows_rootfs = process.stat_inside(&format!("{CHECKS}/{}", self.mark)).is_ok();
        let is_hosts = root == Process::host(self.host)?.root()?;
        if self.subject.step.stacks_layers() && shows_rootfs && !is_hosts {
            return Ok(root);
        }
        self.rootfs_id()
    }

    /// The mounts of the host.
    pub fn host_mounts(&self) -> Result<Vec<Mount>> {
        Process::host(self.host)?.mounts()
    }
}

fn callers_path() -> Vec<PathBuf> {
    // Without PATH, what execvp(3) and the shells search by themselves.
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    // A directory that may not be searched would turn "not found" into "permission denied".
    env::split_paths(&path).filter(|dir| fs::read_dir(dir).is_ok()).collect()
}

/// The commands that the checks run, good ones and bad ones.
fn write_fixture(dir: &Path) -> Result<()> {
    fs::create_dir(dir).with_context(|| format!("mkdir {}", dir.display()))?;
    let write = |name: &str, mode: u32, bytes: &[u8]| -> Result<()> {
        let mut options = File::options();
        let mut file = options.write(true).create_new(true).mode(mode).open(dir.join(name))?;
        file.write_all(bytes)?;
        Ok(file.set_permissions(PermissionsExt::from_mode(mode))?)
    };
    // Nobody comes further than to the headers of these two.
    let headers = &PROBE[..4096];
    let mut foreign = headers.to_vec();
    // e_machine of the ELF header (elf(5)): 83 is AVR, which runs no Linux.
    foreign[18..20].copy_from_slice(&83u16.to_ne_bytes());
    write("probe", 0o755, PROBE)?;
    write("not-executable", 0o644, headers)?;
    write("foreign", 0o755, &foreign)?;
    write("no-format", 0o755, b"echo this must never be handed to a shell\n")?;
    write("no-interpreter", 0o755, b"#!/no/such/interpreter\n")?;
    fs::create_dir(dir.join("directory")).context("mkdir")
}
