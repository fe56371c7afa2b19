//! The view.

use anyhow::Context;
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use oci_spec::runtime::Mount;

/// Where every distribution mounts the control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Moves this process into a cgroup namespace of its own, in which the groups that it is in *now*
/// are the roots: what lies above them and beside them has no path any more.
///
/// So it comes after [`Group::add`](crate::Group::add).
pub fn own_cgroup_view() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWCGROUP).context("unshare the cgroup namespace")
}

/// `mounts`, and behind them the control groups of this namespace, read-only: a program may ask how
/// much memory it has got, and must not give itself more.
///
/// Only where the host has version 2 there: on version 1 it would be a mount for each hierarchy. And
/// only on a `/sys` of the container's own: on the host's (step 08) the host's groups are mounted
/// already, and the kernel does not stack a file system upon itself.
#[must_use]
pub fn with_cgroups(mut mounts: Vec<Mount>) -> Vec<Mount> {
    let is_version_2 =
        statfs(CGROUPS).is_ok_and(|there| there.filesystem_type() == CGROUP2_SUPER_MAGIC);
    let has_own_sys = mounts.iter().any(|mount| mount.typ().as_deref() == Some("sysfs"));
    if is_version_2 && has_own_sys {
        let options = ["ro", "nosuid", "noexec", "nodev"];
        let mut mount = Mount::default();
        mount
            .set_destination(CGROUPS.into())
            .set_typ(Some("cgroup2".into()))
            .set_source(Some("cgroup".into()))
            .set_options(Some(options.map(String::from).to_vec()));
        mounts.push(mount);
    }
    mounts
}
