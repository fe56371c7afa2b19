//! The root file system of the sandbox: everything of the host's, with changes that nobody keeps.
//!
//! An overlay covers exactly one mount, so the new root is an overlay of `/` with another one for
//! each mount below. In a user namespace an overlay may not cover a directory with mounts below (it
//! would uncover what they hide): there the root is a small tmpfs with one overlay per top-level
//! directory. Where the kernel refuses an overlay, a bind mount that is read-only all the way down
//! takes its place.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, chroot, fchdir, pivot_root};

use super::devices;
use super::layers::{Layers, STAGE, Upper};
use super::mounts::{bind, fd_path, make_dir, make_dirs, make_mounts_private, open_path, tmpfs};
use super::{Overlay, Sandbox};
use crate::mountinfo::{self, Mount};

/// The directories that are made anew instead of being shown, and their modes.
const FRESH: [(&str, u32); 6] = [
    ("/proc", 0o555),
    ("/sys", 0o555),
    ("/dev", 0o755),
    ("/run", 0o755),
    ("/tmp", 0o1777),
    ("/var/tmp", 0o1777),
];

/// File systems that hold no files of anybody's, wherever they are mounted.
const PSEUDO: [&str; 8] =
    ["autofs", "binfmt_misc", "cgroup", "cgroup2", "devpts", "mqueue", "proc", "sysfs"];

const NONE: Option<&str> = None;

/// Builds the new root beneath [`STAGE`] and returns its path. Needs a fresh mount namespace.
pub fn build(sandbox: &Sandbox, layers: &Layers) -> Result<PathBuf> {
    make_mounts_private()?;
    let points = mount_points()?;
    // Opened before the stage hides whatever lies beneath it.
    let shares = hidden(&sandbox.shares);
    let shares = shares.into_iter().map(|path| Ok((path, open_path(path)?)));
    let shares: Vec<(&PathBuf, File)> = shares.collect::<Result<_>>()?;
    let overlays = sandbox.overlays.iter().map(|overlay| Ok((overlay, open_path(&overlay.of)?)));
    let overlays: Vec<(&Overlay, File)> = overlays.collect::<Result<_>>()?;
    let disk = layers.directory().map(|path| open_path(&path)).transpose()?;

    let callers = umask(Mode::empty());
    let mut builder = Builder::on_a_stage(layers.upper, disk.as_ref())?;
    let is_covered = builder.cover_all().is_ok();
    if !is_covered {
        builder.top_level()?;
    }
    let is_missing = |point: &&PathBuf| is_covered || !is_top_level(point);
    for point in points.iter().filter(is_missing) {
        // What cannot be shown is absent.
        builder.mirror(point).ok();
    }
    builder.fresh_directories()?;
    for (path, file) in &shares {
        builder.share(path, file)?;
    }
    for (overlay, of) in &overlays {
        builder.lay(overlay, of)?;
    }
    umask(callers);
    Ok(builder.root)
}

/// Makes the new root the root of this mount namespace, and lets go of the old one.
pub fn enter(root: &Path) -> Result<()> {
    let root = open_path(root)?;
    leave_any_chroot()?;
    fchdir(&root).context("chdir to the new root")?;
    // The same directory twice: the old root comes to lie on top of the new one (pivot_root(2)).
    match pivot_root(".", ".") {
        Ok(()) => umount2(".", MntFlags::MNT_DETACH).context("unmount the old root")?,
        // The initramfs, which some small machines never leave, cannot be moved, but covered.
        Err(Errno::EINVAL) => {
            mount(Some("."), "/", NONE, MsFlags::MS_MOVE, NONE).context("move the root to /")?;
            chroot(".").context("chroot to the root of the sandbox")?;
        }
        Err(errno) => return Err(errno).context("pivot_root to the root of the sandbox"),
    }
    chdir("/").context("chdir to /")
}

/// Our root may be another one than our mount namespace's. A program that replaces its root would
/// find the latter behind it, and judged it would seem to have left it there. Who joins a
/// namespace, be it the one that he is in, begins at its root (`setns(2)`).
fn leave_any_chroot() -> Result<()> {
    let own = File::open("/proc/self/ns/mnt").context("open /proc/self/ns/mnt")?;
    setns(own, CloneFlags::CLONE_NEWNS).context("setns to the mount namespace that we are in")?;
    // What lies outside of the chroot is not yet private.
    make_mounts_private()
}

/// Those of the paths that a fresh directory would hide, but for what the kernel makes itself; and
/// without what lies in another one of them.
fn hidden(shares: &[PathBuf]) -> Vec<&PathBuf> {
    let mut found: Vec<&PathBuf> = Vec::new();
    for path in shares {
        let kernels = path.starts_with("/proc") || path.starts_with("/sys") || path == "/dev";
        if is_fresh(path) && !kernels && !found.iter().any(|other| path.starts_with(other)) {
            found.push(path);
        }
    }
    found
}

/// Where something is mounted that is to be seen inside too, besides `/`. Upper ones come first.
fn mount_points() -> Result<BTreeSet<PathBuf>> {
    let shown = |mount: &Mount| {
        mount.path != Path::new("/")
            && !is_fresh(&mount.path)
            && !PSEUDO.contains(&mount.kind.as_str())
    };
    let mounts = mountinfo::of_this_process()?;
    Ok(mounts.into_iter().filter(shown).map(|mount| mount.path).collect())
}

fn is_top_level(path: &Path) -> bool {
    path.parent() == Some(Path::new("/"))
}

fn is_fresh(path: &Path) -> bool {
    FRESH.iter().any(|(fresh, _)| path.starts_with(fresh))
}

struct Builder {
    root: PathBuf,
    layers: PathBuf,
    count: usize,
    upper: Option<Upper>,
}

impl Builder {
    /// Begins with an empty root, in a tmpfs that holds the layers too, unless they lie on `disk`.
    fn on_a_stage(upper: Option<Upper>, disk: Option<&File>) -> Result<Builder> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let stage = Path::new(STAGE);
        tmpfs(stage, flags, "mode=700,size=512m,nr_inodes=200k")?;
        let (root, layers) = (stage.join("root"), stage.join("layers"));
        make_dir(&root, 0o755)?;
        make_dir(&layers, 0o700)?;
        tmpfs(&root, flags, "mode=755,size=64m,nr_inodes=100k")?;
        let layers = disk.map_or(layers, |dir| fd_path(dir).into());
        Ok(Builder { root, layers, count: 0, upper })
    }

    /// The root as one overlay.
    fn cover_all(&mut self) -> Result<()> {
        let root = self.root.clone();
        self.overlay(&open_path(Path::new("/"))?, &root)
    }

    fn top_level(&mut self) -> Result<()> {
        for entry in fs::read_dir("/").context("read /")? {
            let path = entry.context("read /")?.path();
            if !is_fresh(&path) {
                // What cannot be shown (a mount that hangs, a socket) is absent.
                self.mirror(&path).ok();
            }
        }
        Ok(())
    }

    /// Shows what lies at `path` at the same place inside.
    fn mirror(&mut self, path: &Path) -> Result<()> {
        if fs::symlink_metadata(path)?.is_symlink() {
            let target = fs::read_link(path)?;
            return symlink(target, self.inside(path)).context("symlink");
        }
        self.show(path, &open_path(path)?)
    }

    fn share(&mut self, path: &Path, source: &File) -> Result<()> {
        let inside = self.inside(path);
        let parent = inside.parent().unwrap_or(&self.root);
        make_dirs(parent)?;
        self.show(path, source).with_context(|| format!("show {} in the sandbox", path.display()))
    }

    fn show(&mut self, path: &Path, source: &File) -> Result<()> {
        let target = self.inside(path);
        if source.metadata()?.is_dir() {
            make_dir(&target, 0o755)?;
            if self.overlay(source, &target).is_ok() {
                return Ok(());
            }
        } else if !target.exists() {
            File::create(&target).with_context(|| format!("make {}", target.display()))?;
        }
        bind(source, &target, libc::MOUNT_ATTR_RDONLY)
    }

    fn lay(&mut self, overlay: &Overlay, of: &File) -> Result<()> {
        let target = self.inside(&overlay.at);
        make_dirs(&target)?;
        self.overlay(of, &target).with_context(|| {
            let of = overlay.of.display();
            format!(
                "show {of} in the sandbox, with changes of its own (is something mounted in it?)"
            )
        })
    }

    /// An overlay of `lower` on `target`, its changes in a layer of their own.
    fn overlay(&mut self, lower: &File, target: &Path) -> Result<()> {
        let upper = self.upper.context("the kernel makes no overlay for us")?;
        self.count += 1;
        upper.mount(lower, &self.layers.join(self.count.to_string()), target)
    }

    fn fresh_directories(&mut self) -> Result<()> {
        for (path, mode) in FRESH {
            make_dir(&self.inside(path), mode)?;
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        tmpfs(&self.inside("/run"), flags, "mode=755,size=64m")?;
        tmpfs(&self.inside("/tmp"), flags, "mode=1777,size=256m,nr_inodes=100k")?;
        // A link would lead out of the new root, while the old one is still ours.
        if !self.inside("/var/tmp").is_symlink() {
            tmpfs(&self.inside("/var/tmp"), flags, "mode=1777,size=128m,nr_inodes=100k")?;
        }
        let flags = flags | MsFlags::MS_NOEXEC;
        mount(Some("sysfs"), &self.inside("/sys"), Some("sysfs"), flags, NONE)
            .context("mount a new /sys")?;
        devices::make(&self.inside("/dev"))
    }

    fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}
