//! Which hierarchies there are, and where we are in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The two interfaces that the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller, or for a few of them.
    V1,
    /// One hierarchy, in which every group says which controllers it hands down.
    V2,
}

/// A hierarchy with controllers that a container needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its interface.
    pub version: Version,
    /// The controllers that a container needs of it.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// The directory of the group that this process is in.
    pub own: PathBuf,
}

/// What a container needs of version 1. The CPU time is limited by one controller and counted by
/// another one.
const V1: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "blkio"];
/// And of version 2.
const V2: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// The hierarchies for a container's group: those of version 1 that are mounted, and that of
/// version 2 if it has controllers, or if there is no other. (On a *hybrid* host, version 1 has
/// the controllers, and systemd has the other one for itself.)
pub fn hierarchies() -> anyhow::Result<Vec<Hierarchy>> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("read {path}"));
    let found = find(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
    let (mut v2, mut v1): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|hierarchy| hierarchy.version == Version::V2);
    for hierarchy in &mut v2 {
        let there = words(&hierarchy.mount_point.join("cgroup.controllers"));
        hierarchy.controllers.retain(|controller| there.contains(controller));
    }
    v2.retain(|hierarchy| v1.is_empty() || !hierarchy.controllers.is_empty());
    v1.extend(v2);
    Ok(v1)
}

/// The words of a file of a group; none where there is no such file.
pub fn words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(String::from).collect()
}

/// One hierarchy for each line of `/proc/self/cgroup` that names a controller we need, if it is
/// mounted somewhere.
fn find(mountinfo: &str, groups: &str) -> Vec<Hierarchy> {
    groups.lines().filter_map(|line| of_line(line, mountinfo)).collect()
}

/// `4:memory:/path`, `3:cpu,cpuacct:/path`, `1:name=systemd:/path`; version 2 is `0::/path`.
fn of_line(line: &str, mountinfo: &str) -> Option<Hierarchy> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (names, path) = (fields.next()?, fields.next()?);
    let (version, controllers): (_, Vec<&str>) = match names {
        "" => (Version::V2, V2.to_vec()),
        names => (Version::V1, names.split(',').filter(|name| V1.contains(name)).collect()),
    };
    let (root, mount_point) =
        mountinfo.lines().find_map(|mount| mount_of(version, controllers.first()?, mount))?;
    // In a container the mount may begin at some group; a path to one that is not beneath it would
    // lead nowhere, and starts with "/..".
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    Some(Hierarchy {
        version,
        controllers: controllers.into_iter().map(String::from).collect(),
        mount_point: mount_point.into(),
        own: mount_point.join(below.strip_prefix("..").map_or(below, |_| Path::new(""))),
    })
}

/// The directory of the hierarchy that is mounted, and where, if this line of mountinfo is about
/// the hierarchy that we look for. (A mount point with a space in it, which the kernel writes as
/// `\040`, is not understood here. Nobody has one.)
fn mount_of<'m>(
    version: Version,
    controller: &str,
    mount: &'m str,
) -> Option<(&'m Path, &'m Path)> {
    let (place, what) = mount.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let mut what = what.split(' ');
    let (kind, options) = (what.next()?, what.nth(1)?);
    let fits = match version {
        Version::V1 => kind == "cgroup" && options.split(',').any(|option| option == controller),
        Version::V2 => kind == "cgroup2",
    };
    fits.then_some((Path::new(place.next()?), Path::new(place.next()?)))
}

#[cfg(test)]
mod tests {
    use super::{Version, find};

    /// Version, controllers, mount point and own group of what is found.
    fn found(mountinfo: &str, groups: &str) -> Vec<(Version, String, String, String)> {
        let shown = |hierarchy: super::Hierarchy| {
            let paths =
                [hierarchy.mount_point, hierarchy.own].map(|path| path.display().to_string());
            let [mount_point, own] = paths;
            (hierarchy.version, hierarchy.controllers.join(" "), mount_point, own)
        };
        find(mountinfo, groups).into_iter().map(shown).collect()
    }

    fn due(version: Version, rest: [&str; 3]) -> (Version, String, String, String) {
        let [controllers, mount_point, own] = rest.map(String::from);
        (version, controllers, mount_point, own)
    }

    #[test]
    fn version_2_is_one_hierarchy() {
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n\
                      30 25 0:27 / /cg rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let all = ["cpu memory pids io", "/cg", "/cg/user.slice/a.scope"];
        assert_eq!(found(mounts, "0::/user.slice/a.scope\n"), [due(Version::V2, all)]);
    }

    #[test]
    fn version_1_is_one_for_each_controller_or_for_two() {
        let mounts = "33 30 0:28 / /cg/systemd rw - cgroup none rw,name=systemd\n\
                      34 30 0:29 / /cg/cpu,cpuacct rw - cgroup none rw,cpu,cpuacct\n\
                      35 30 0:30 / /cg/memory rw - cgroup none rw,memory\n";
        let groups = "5:cpuset:/a\n4:memory:/a\n3:cpu,cpuacct:/b\n1:name=systemd:/c\n0::/d\n";
        let both = [
            due(Version::V1, ["memory", "/cg/memory", "/cg/memory/a"]),
            due(Version::V1, ["cpu cpuacct", "/cg/cpu,cpuacct", "/cg/cpu,cpuacct/b"]),
        ];
        assert_eq!(found(mounts, groups), both);
    }

    #[test]
    fn in_a_container_the_mount_begins_at_its_group() {
        let mounts = "35 30 0:30 /docker/1 /cg rw - cgroup2 cgroup rw\n";
        let own = |path: &str| found(mounts, &format!("0::{path}\n")).remove(0).3;
        assert_eq!(own("/docker/1/x"), "/cg/x");
        // Of a group that is not beneath it there is no path: then its top is what we have.
        assert_eq!(own("/docker/2"), "/cg/");
    }
}
