//! The directory that keeps the changes.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct OverlayOptions {
    /// Keep what the container changes in this directory, and find it there the next time
    #[arg(long, value_name = "DIR")]
    pub upper: Option<PathBuf>,
}

impl OverlayOptions {
    /// Takes the directory for as long as what is returned lives. Two overlays with one writable
    /// layer would break each other's files, and the kernel only warns of it.
    ///
    /// It is for the parent, when the child has been made: what a child inherits it could pass on.
    pub fn lock(&self) -> anyhow::Result<Option<Flock<File>>> {
        let Some(upper) = &self.upper else { return Ok(None) };
        let shown = upper.display();
        let directory = File::options()
            .read(true)
            .custom_flags(OFlag::O_DIRECTORY.bits())
            .open(upper)
            .with_context(|| format!("open the writable layer {shown}"))?;
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, Errno::EWOULDBLOCK)) => {
                Err(anyhow!("take the writable layer {shown}: another container is using it"))
            }
            Err((_, errno)) => Err(errno).with_context(|| format!("lock {shown}")),
        }
    }
}
