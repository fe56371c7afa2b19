//! The checks: what a step promises, each as one small function that looks at the kernel.
//!
//! One file per step, and in each the table of its checks. How much a check counts for which step
//! is said in [`crate::steps`].

mod cgroup_cpu;
mod cgroup_memory;
mod cgroup_ns;
mod cgroup_pids_io;
mod chroot;
mod fork_exec;
mod image;
mod ipc_ns;
mod mount_ns;
mod net_ns;
mod overlay;
mod pid_ns;
mod pivot_root;
mod time_ns;
mod user_ns;
mod uts_ns;

use anyhow::{Context, Result};

use crate::judge::trial::Trial;
use crate::judge::verdict::Held;

/// One thing that a step promises.
pub struct Check {
    /// `slug/what-holds`.
    pub name: &'static str,
    /// What it asserts, as a sentence.
    pub asserts: &'static str,
    /// What to read when it does not hold.
    pub read: &'static str,
    /// Looks whether it holds.
    pub holds: fn(&Trial) -> Held,
}

/// All checks, in the order of the steps that bring them.
pub fn all() -> impl Iterator<Item = &'static Check> {
    [
        fork_exec::CHECKS,
        chroot::CHECKS,
        mount_ns::CHECKS,
        pivot_root::CHECKS,
        uts_ns::CHECKS,
        ipc_ns::CHECKS,
        pid_ns::CHECKS,
        net_ns::CHECKS,
        user_ns::CHECKS,
        time_ns::CHECKS,
        cgroup_ns::CHECKS,
        cgroup_cpu::CHECKS,
        cgroup_memory::CHECKS,
        cgroup_pids_io::CHECKS,
        overlay::CHECKS,
        image::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// The check of this name.
pub fn find(name: &str) -> Result<&'static Check> {
    all().find(|check| check.name == name).with_context(|| format!("there is no check `{name}`"))
}
