//! Overlays whose changes nobody keeps, and where those lie meanwhile (the kernel's
//! `filesystems/overlayfs`).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;

use super::fork;
use super::lease::{Lease, remove_files};
use super::mounts::{fd_path, open_path};
use super::users::Privilege;

/// Where a small tmpfs is mounted for a while, in a mount namespace of our own. This directory
/// exists everywhere.
pub const STAGE: &str = "/tmp";

/// Where layers can lie on a disk.
const DISK: &str = "/var/tmp";

/// Where overlays of the caller can keep their changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upper {
    /// On the disk, in `/var/tmp`, and not in memory. Before Linux 6.6 tmpfs has no extended
    /// attributes of users, without which no directory of a lower layer can be replaced.
    pub on_disk: bool,
    /// By such attributes an overlay remembers what is gone: root of the host has attributes that
    /// nobody else sees, root of a user namespace has only those of users.
    user_attributes: bool,
}

impl Upper {
    /// The better ones first.
    const ALL: [Upper; 4] = [
        Upper { on_disk: false, user_attributes: false },
        Upper { on_disk: false, user_attributes: true },
        Upper { on_disk: true, user_attributes: false },
        Upper { on_disk: true, user_attributes: true },
    ];

    /// The best that works, found by making an overlay hide a directory and replace it: for that it
    /// needs the attributes, which the mount alone does not tell. If none works, the kernel's
    /// reason against the first.
    pub fn find(privilege: Privilege) -> nix::Result<Upper> {
        static FOUND: OnceLock<nix::Result<Upper>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            // Root of a user namespace need not ask for more.
            let worth_it = |upper: &Upper| upper.user_attributes || privilege == Privilege::Root;
            let uppers = Upper::ALL.into_iter().filter(worth_it);
            let mut tried = uppers.map(|upper| upper.attempt(privilege).map(|()| upper));
            let first = tried.next().unwrap_or(Err(Errno::ENOTSUP));
            first.or_else(|reason| tried.find_map(Result::ok).ok_or(reason))
        })
    }

    fn attempt(self, privilege: Privilege) -> nix::Result<()> {
        let take = || Lease::take(DISK.as_ref(), remove_files).map_err(|error| errno(&error));
        // Ours, not the child's: whoever drops it removes it.
        let disk = self.on_disk.then(take).transpose()?;
        let place = disk.as_ref().map_or(STAGE.as_ref(), Lease::path);
        fork::attempt(|| {
            privilege.unshare(CloneFlags::CLONE_NEWNS)?;
            if !self.on_disk {
                mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
            }
            self.replace_a_directory(place)
        })
    }

    fn replace_a_directory(self, place: &Path) -> Result<()> {
        let (lower, merged) = (place.join("lower"), place.join("merged"));
        fs::create_dir_all(lower.join("old"))?;
        fs::create_dir(&merged)?;
        self.mount(&open_path(&lower)?, &place.join("layer"), &merged)?;
        fs::remove_dir(merged.join("old"))?;
        Ok(fs::create_dir(merged.join("old"))?)
    }

    /// Mounts an overlay of `lower` on `target`, its changes in the new directory `layer`.
    pub fn mount(self, lower: &File, layer: &Path, target: &Path) -> Result<()> {
        let (upper, work) = (layer.join("upper"), layer.join("work"));
        for dir in [layer, &upper, &work] {
            fs::create_dir(dir).with_context(|| format!("mkdir {}", dir.display()))?;
        }
        // The merged directory bears the mode of the upper one, and its owner.
        let mode = lower.metadata().context("fstat")?.permissions();
        fs::set_permissions(&upper, mode).context("chmod the upper directory")?;
        // Names of open directories hold nothing that would have to be escaped among the options.
        let (upper, work) = (open_path(&upper)?, open_path(&work)?);
        let options = format!(
            "lowerdir={},upperdir={},workdir={}{}",
            fd_path(lower),
            fd_path(&upper),
            fd_path(&work),
            if self.user_attributes { ",userxattr" } else { "" },
        );
        let (kind, flags) = (Some("overlay"), MsFlags::empty());
        mount(kind, target, kind, flags, Some(options.as_str())).context("mount an overlay")
    }
}

/// The place for the layers of one sandbox.
pub struct Layers {
    /// How overlays are made; `None` where the kernel makes none for us.
    pub upper: Option<Upper>,
    disk: Option<Lease>,
}

impl Layers {
    /// In memory if the kernel can, else on a disk, as long as this value lives.
    pub fn choose(privilege: Privilege) -> Result<Layers> {
        let upper = Upper::find(privilege).ok();
        let disk = upper.filter(|upper| upper.on_disk).map(|_| {
            Lease::take(DISK.as_ref(), remove_files)
                .with_context(|| format!("make a directory below {DISK}"))
        });
        Ok(Layers { upper, disk: disk.transpose()? })
    }

    /// The directory on a disk, if they are to lie there.
    pub fn directory(&self) -> Option<PathBuf> {
        self.disk.as_ref().map(|dir| dir.path().to_owned())
    }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
