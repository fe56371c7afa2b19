//! The root file system of the sandbox: everything of the host's, with changes that nobody keeps.
//!
//! An overlay covers exactly one mount, and in a user namespace it may not cover a directory with
//! mounts below (it would uncover what they hide). So the new root is a small tmpfs with one overlay
//! per top-level directory, and one per mount below those. Where the kernel refuses an overlay, a
//! bind mount that is read-only all the way down takes its place.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};
use nix::unistd::{chdir, pivot_root};
use tempfile::TempDir;

use crate::mountinfo;

/// Where the tmpfs that holds the new root and the layers is mounted, in the sandbox's own mount
/// namespace. This directory exists everywhere, and the sandbox gets a fresh one anyway.
const STAGE: &str = "/tmp";

/// The directories that are made anew instead of being shown.
const FRESH: [&str; 6] = ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp"];

const NONE: Option<&str> = None;

/// Where the changes are kept.
pub struct Layers(Option<TempDir>);

impl Layers {
    /// In memory, where the kernel can. Before Linux 6.6 tmpfs has no user extended attributes, and
    /// a rootless overlay cannot remove directories of the lower layer without them: there a
    /// directory on disk serves, which goes with the sandbox.
    pub fn choose() -> Result<Layers> {
        let (major, minor) = kernel_version()?;
        if !super::users::needs_user_namespace()? || (major, minor) >= (6, 6) {
            return Ok(Layers(None));
        }
        let dir = tempfile::Builder::new().prefix("cooperage-").tempdir_in("/var/tmp");
        Ok(Layers(Some(dir.context("make a directory below /var/tmp")?)))
    }

    pub fn directory(&self) -> Option<PathBuf> {
        self.0.as_ref().map(|dir| dir.path().to_owned())
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        // The kernel leaves `work/work` with mode 0, which an ordinary user cannot list.
        let Some(dir) = self.0.take() else { return };
        let open_up = |path: PathBuf| fs::set_permissions(path, PermissionsExt::from_mode(0o700));
        for layer in fs::read_dir(dir.path()).into_iter().flatten().flatten() {
            let _ = open_up(layer.path().join("work/work"));
        }
    }
}

/// The version of the running kernel, major and minor.
pub fn kernel_version() -> Result<(u32, u32)> {
    let name = nix::sys::utsname::uname().context("uname")?;
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}

/// Builds the new root beneath [`STAGE`] and returns its path. Needs a fresh mount namespace.
pub fn build(shares: &[PathBuf], layers: Option<PathBuf>, rootless: bool) -> Result<PathBuf> {
    mount(NONE, "/", NONE, MsFlags::MS_PRIVATE | MsFlags::MS_REC, NONE)
        .context("mount / private")?;
    let here = mountinfo::of_this_process()?;
    // Opened before the stage hides whatever lies beneath it.
    let shares: Vec<(PathBuf, File)> =
        shares.iter().map(|path| Ok((path.clone(), open_path(path)?))).collect::<Result<_>>()?;
    let layers_on_disk = layers.map(|path| open_path(&path)).transpose()?;

    umask(Mode::empty());
    tmpfs(Path::new(STAGE), "mode=700,size=512m,nr_inodes=200k")?;
    let root = Path::new(STAGE).join("root");
    make_dir(&root, 0o755)?;
    tmpfs(&root, "mode=755,size=64m,nr_inodes=100k")?;
    let layers = match &layers_on_disk {
        Some(dir) => PathBuf::from(fd_path(dir)),
        None => Path::new(STAGE).join("layers"),
    };
    fs::create_dir_all(&layers).context("make the directory for the layers")?;
    let mut builder = Builder { root, layers, count: 0, rootless };

    builder.top_level()?;
    for point in here.iter().filter(|point| !point.is_fresh_or_pseudo()) {
        builder.mirror(&point.path).ok();
    }
    builder.fresh_directories()?;
    for (path, file) in &shares {
        builder.share(path, file)?;
    }
    umask(Mode::from_bits_truncate(0o022));
    Ok(builder.root)
}

/// Makes the new root the root of this mount namespace, and lets go of the old one.
pub fn enter(root: &Path) -> Result<()> {
    chdir(root).context("chdir to the new root")?;
    // The same directory twice: the old root comes to lie on top of the new one (pivot_root(2)).
    pivot_root(".", ".").context("pivot_root to the root of the sandbox")?;
    umount2(".", MntFlags::MNT_DETACH).context("unmount the old root")?;
    chdir("/").context("chdir to /")
}

struct Builder {
    root: PathBuf,
    layers: PathBuf,
    count: usize,
    rootless: bool,
}

impl Builder {
    fn top_level(&mut self) -> Result<()> {
        for entry in fs::read_dir("/").context("read /")? {
            let path = entry.context("read /")?.path();
            if !FRESH.iter().any(|fresh| path == Path::new(fresh)) {
                // What cannot be shown (a mount that hangs, a socket) is absent.
                self.mirror(&path).ok();
            }
        }
        Ok(())
    }

    /// Shows what lies at `path` at the same place inside.
    fn mirror(&mut self, path: &Path) -> Result<()> {
        let kind = fs::symlink_metadata(path)?.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(path)?;
            return symlink(target, self.inside(path)).context("symlink");
        }
        let source = open_path(path)?;
        self.show(path, &source, kind.is_dir())
    }

    fn share(&mut self, path: &Path, source: &File) -> Result<()> {
        if !FRESH.iter().any(|fresh| path.starts_with(fresh)) {
            return Ok(());
        }
        let inside = self.inside(path);
        let parent = inside.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).with_context(|| format!("make {}", path.display()))?;
        let is_dir = source.metadata()?.is_dir();
        self.show(path, source, is_dir)
            .with_context(|| format!("show {} in the sandbox", path.display()))
    }

    fn show(&mut self, path: &Path, source: &File, is_dir: bool) -> Result<()> {
        let target = self.inside(path);
        if is_dir {
            make_dir(&target, 0o755)?;
            if self.overlay(source, &target).is_ok() {
                return Ok(());
            }
        } else if !target.exists() {
            File::create(&target).with_context(|| format!("make {}", target.display()))?;
        }
        read_only_bind(source, &target)
    }

    /// An overlay of `lower` on `target`, its changes in a layer of their own.
    fn overlay(&mut self, lower: &File, target: &Path) -> Result<()> {
        let layer = self.layers.join(self.count.to_string());
        self.count += 1;
        for part in ["", "upper", "work"] {
            make_dir(&layer.join(part), 0o755)?;
        }
        // The merged directory bears the owner and the mode of the upper one.
        let mode = lower.metadata()?.permissions();
        fs::set_permissions(layer.join("upper"), mode).context("chmod the upper directory")?;
        let options = format!(
            "lowerdir={},upperdir={layer}/upper,workdir={layer}/work{}",
            fd_path(lower),
            if self.rootless { ",userxattr" } else { "" },
            layer = layer.display(),
        );
        let flags = MsFlags::empty();
        mount(Some("overlay"), target, Some("overlay"), flags, Some(options.as_str()))
            .with_context(|| format!("mount an overlay on {}", target.display()))
    }

    fn fresh_directories(&mut self) -> Result<()> {
        for (path, mode) in FRESH.iter().zip([0o555, 0o555, 0o755, 0o755, 0o1777, 0o1777]) {
            let inside = self.inside(Path::new(path));
            make_dir(&inside, mode)?;
        }
        tmpfs(&self.inside(Path::new("/run")), "mode=755,size=64m")?;
        tmpfs(&self.inside(Path::new("/tmp")), "mode=1777,size=256m,nr_inodes=100k")?;
        tmpfs(&self.inside(Path::new("/var/tmp")), "mode=1777,size=128m,nr_inodes=100k").ok();
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("sysfs"), &self.inside(Path::new("/sys")), Some("sysfs"), flags, NONE)
            .context("mount a new /sys")?;
        make_devices(&self.inside(Path::new("/dev")))
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// A `/dev` of the sandbox's own: through the host's, a careless program would delete its nodes.
fn make_devices(dev: &Path) -> Result<()> {
    tmpfs(dev, "mode=755,size=64m")?;
    for (name, major, minor) in [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ] {
        let node = dev.join(name);
        let mode = Mode::from_bits_truncate(0o666);
        match mknod(&node, SFlag::S_IFCHR, mode, makedev(major, minor)) {
            // Nobody makes device nodes in a user namespace; showing the host's is allowed.
            Err(Errno::EPERM) => {
                File::create(&node).context("make a file in /dev")?;
                bind(&fs::canonicalize(Path::new("/dev").join(name))?, &node)?;
            }
            result => result.with_context(|| format!("mknod {}", node.display()))?,
        }
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name)).with_context(|| format!("make the link /dev/{name}"))?;
    }
    for (name, kind, options) in [
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"),
        ("shm", "tmpfs", "mode=1777,size=64m"),
        ("mqueue", "mqueue", ""),
    ] {
        if !mountinfo::kernel_has_filesystem(kind)? {
            continue;
        }
        make_dir(&dev.join(name), 0o755)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount(Some(kind), &dev.join(name), Some(kind), flags, Some(options))
            .with_context(|| format!("mount /dev/{name}"))?;
    }
    Ok(())
}

fn tmpfs(target: &Path, options: &str) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    // The device nodes of /dev must work.
    let flags =
        if target.file_name() == Some(OsStr::new("dev")) { MsFlags::MS_NOSUID } else { flags };
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
        .with_context(|| format!("mount a tmpfs on {}", target.display()))
}

fn bind(source: &Path, target: &Path) -> Result<()> {
    mount(Some(source), target, NONE, MsFlags::MS_BIND, NONE)
        .with_context(|| format!("bind {} to {}", source.display(), target.display()))
}

/// A bind mount of a whole tree, read-only in all its mounts (`mount_setattr(2)`).
fn read_only_bind(source: &File, target: &Path) -> Result<()> {
    let (from, flags) = (fd_path(source), MsFlags::MS_BIND | MsFlags::MS_REC);
    mount(Some(from.as_str()), target, NONE, flags, NONE)
        .with_context(|| format!("bind {}", target.display()))?;
    let mounted = open_path(target)?;
    // SAFETY: all zeros is a valid mount_attr, which holds only numbers.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY;
    // SAFETY: the descriptor is open, the path is a C string, and `attributes` has the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mounted.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result)
        .map(drop)
        .with_context(|| format!("make the mounts on {} read-only", target.display()))
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    if !path.is_dir() {
        fs::create_dir(path).with_context(|| format!("mkdir {}", path.display()))?;
        fs::set_permissions(path, PermissionsExt::from_mode(mode))
            .with_context(|| format!("chmod {}", path.display()))?;
    }
    Ok(())
}

fn open_path(path: &Path) -> Result<File> {
    let file = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", path.display()))?;
    Ok(file.into())
}

/// A name for an open file that stays right whatever gets mounted over its path, and that needs no
/// escaping among mount options.
fn fd_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
