//! The hierarchies of control groups that this host has, and where the caller is in them
//! (`cgroups(7)`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::mountinfo::{self, Mount};

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// The type of its file system: `cgroup` (version 1) or `cgroup2`.
    pub kind: String,
    /// What it is mounted for, in version 1: `memory`, or `cpu` and `cpuacct`. In version 2 a file
    /// in each group tells.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// The directory of the caller's own group.
    pub own: PathBuf,
}

impl Hierarchy {
    /// Whether it is version 2, which has all controllers in one hierarchy.
    pub fn is_unified(&self) -> bool {
        self.kind == "cgroup2"
    }

    /// Where a group may be made: below the caller's own, beside it (on version 2 a group that
    /// holds processes hands no controllers down), or, for root, at the top.
    pub fn parents(&self) -> impl Iterator<Item = &Path> {
        let beside = self.own.parent().filter(|dir| dir.starts_with(&self.mount_point));
        [Some(self.own.as_path()), beside, Some(&self.mount_point)].into_iter().flatten()
    }
}

/// The hierarchies that this process can reach, each once.
pub fn hierarchies() -> Result<Vec<Hierarchy>> {
    let groups = fs::read_to_string("/proc/self/cgroup").context("read /proc/self/cgroup")?;
    Ok(find(&mountinfo::of_this_process()?, &groups))
}

/// The hierarchies among these mounts, each once, and in each the group of the process that has this
/// `/proc/PID/cgroup`.
pub fn find(mounts: &[Mount], groups: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for mount in mounts {
        let hierarchy = groups.lines().find_map(|line| of_mount(mount, line));
        let Some(hierarchy) = hierarchy else { continue };
        let known = |other: &Hierarchy| {
            (&other.kind, &other.controllers) == (&hierarchy.kind, &hierarchy.controllers)
        };
        if !found.iter().any(known) {
            found.push(hierarchy);
        }
    }
    found
}

/// The hierarchy that is mounted there, if `line` of `/proc/self/cgroup` is about it.
fn of_mount(mount: &Mount, line: &str) -> Option<Hierarchy> {
    // `4:memory:/path`, `3:cpu,cpuacct:/path`, `1:name=systemd:/path`; version 2 is `0::/path`.
    let (names, path) = line.split_once(':')?.1.split_once(':')?;
    let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    let options: Vec<&str> = mount.super_options.split(',').collect();
    let fits = match mount.kind.as_str() {
        "cgroup2" => names.is_empty(),
        "cgroup" => !names.is_empty() && names.iter().all(|name| options.contains(name)),
        _ => false,
    };
    // In a container the mount begins at some group, which need not be above ours.
    let below = Path::new(path).strip_prefix(&mount.root).unwrap_or(Path::new(""));
    fits.then(|| Hierarchy {
        kind: mount.kind.clone(),
        controllers: names.iter().map(ToString::to_string).collect(),
        mount_point: mount.path.clone(),
        own: mount.path.components().chain(below.components()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Hierarchy, find};
    use crate::mountinfo;

    fn hierarchy(kind: &str, controllers: &[&str], mount_point: &str, own: &str) -> Hierarchy {
        Hierarchy {
            kind: kind.into(),
            controllers: controllers.iter().map(ToString::to_string).collect(),
            mount_point: mount_point.into(),
            own: own.into(),
        }
    }

    #[test]
    fn version_2_has_one_hierarchy() {
        let mounts = mountinfo::parse(
            b"24 1 0:22 / /proc rw - proc proc rw\n\
            30 25 0:27 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        let own = "/sys/fs/cgroup/user.slice/a.scope";
        let found = find(&mounts, "0::/user.slice/a.scope\n");
        assert_eq!(found, [hierarchy("cgroup2", &[], "/sys/fs/cgroup", own)]);
        let parents: Vec<&Path> = found[0].parents().collect();
        assert_eq!(
            parents,
            [own, "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"].map(Path::new).to_vec()
        );
    }

    #[test]
    fn version_1_has_one_for_each_group_of_controllers() {
        let mounts = mountinfo::parse(
            b"33 30 0:28 / /c/systemd rw - cgroup none rw,xattr,name=systemd\n\
            34 30 0:29 / /c/both rw - cgroup none rw,cpu,cpuacct\n\
            35 30 0:30 /docker/1 /c/memory ro - cgroup none rw,memory\n\
            36 30 0:30 / /again rw - cgroup none rw,memory\n\
            37 30 0:31 / /c/unified rw - cgroup2 none rw\n",
        );
        let groups = "4:memory:/docker/1/x\n3:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/\n";
        assert_eq!(
            find(&mounts, groups),
            [
                hierarchy("cgroup", &["name=systemd"], "/c/systemd", "/c/systemd/b"),
                hierarchy("cgroup", &["cpu", "cpuacct"], "/c/both", "/c/both/a"),
                hierarchy("cgroup", &["memory"], "/c/memory", "/c/memory/x"),
                hierarchy("cgroup2", &[], "/c/unified", "/c/unified"),
            ]
        );
    }
}
