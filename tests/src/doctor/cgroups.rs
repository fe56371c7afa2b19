//! Control groups (cgroups(7)): which version, which controllers, and whether the caller may
//! make groups. Looked up, not tried: other people's groups are left alone.

use super::{Finding, trial::Privilege};
use nix::{
    fcntl::{AT_FDCWD, AtFlags},
    unistd::{AccessFlags, faccessat},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What the steps from cgroup-cpu to cgroup-pids-io need, in each version.
const NEEDED_V1: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "blkio"];
const NEEDED_V2: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// A hierarchy of cgroups, as it is mounted here.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    version: u8,
    /// Of version 1 what is needed and it is mounted for; of version 2 a file in it tells.
    controllers: Vec<String>,
    mount_point: PathBuf,
    /// The directory of the group that we are in.
    own: PathBuf,
}

impl Hierarchy {
    /// Where the caller would make a group: root anywhere, others below their own.
    fn place(&self, privilege: Privilege) -> &Path {
        match privilege {
            Privilege::Root => &self.mount_point,
            _ => &self.own,
        }
    }

    /// Whether the caller may make a group there, and move its processes to it.
    fn is_writable(&self, privilege: Privilege) -> bool {
        let place = self.place(privilege);
        [place.to_path_buf(), place.join("cgroup.procs")]
            .iter()
            .all(|path| faccessat(AT_FDCWD, path, AccessFlags::W_OK, AtFlags::AT_EACCESS).is_ok())
    }
}

/// Looks which layout this host has, and what of it the caller may use.
pub fn examine(privilege: Privilege) -> Vec<Finding> {
    let all = hierarchies(
        &fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
        &fs::read_to_string("/proc/self/cgroup").unwrap_or_default(),
    );
    let (v1, v2): (Vec<_>, Vec<_>) = all.into_iter().partition(|h| h.version == 1);
    if let (true, Some(unified)) = (v1.is_empty(), v2.first()) {
        let place = unified.place(privilege);
        let listed = fs::read_to_string(place.join("cgroup.controllers")).unwrap_or_default();
        return vec![
            Finding::ok("cgroups", "version 2"),
            controllers(privilege, &NEEDED_V2, &listed.split_whitespace().collect::<Vec<_>>()),
            delegation(privilege, &v2),
        ];
    }
    if v1.is_empty() {
        return vec![Finding::missing(
            "cgroups",
            "no hierarchy is mounted: the steps from cgroup-ns on need one",
            "sudo mount -t cgroup2 none /sys/fs/cgroup",
        )];
    }
    let hybrid =
        if v2.is_empty() { "" } else { ", hybrid: version 2 is there without controllers" };
    let present: Vec<&str> = v1.iter().flat_map(|h| &h.controllers).map(String::as_str).collect();
    vec![
        Finding::ok("cgroups", format!("version 1{hybrid}")),
        controllers(privilege, &NEEDED_V1, &present),
        delegation(privilege, &v1),
    ]
}

fn controllers(privilege: Privilege, needed: &[&str], present: &[&str]) -> Finding {
    let title = "cgroup controllers";
    let (have, lack): (Vec<&str>, Vec<&str>) = needed.iter().partition(|c| present.contains(c));
    if lack.is_empty() {
        return Finding::ok(title, have.join(", "));
    }
    let fix = match privilege {
        Privilege::Root => "boot with cgroup_enable=memory and without cgroup_disable=…",
        _ => {
            "run as root, or have root put [Service] Delegate=cpu cpuset io memory pids into \
             /etc/systemd/system/user@.service.d/delegate.conf, and log in again"
        }
    };
    Finding::missing(title, format!("there is no {}", lack.join(", ")), fix)
}

fn delegation(privilege: Privilege, hierarchies: &[Hierarchy]) -> Finding {
    let title = "cgroup delegation";
    let closed = hierarchies.iter().find(|h| !h.is_writable(privilege));
    let Some(closed) = closed else {
        return Finding::ok(title, "can make groups to set limits by, for steps and sandbox alike");
    };
    let found = format!(
        "cannot make a group in {}: nothing to set limits by, for steps and sandbox alike",
        closed.place(privilege).display()
    );
    let fix = match (privilege, closed.version) {
        (Privilege::Root, _) => "leave this container, or start it with --privileged",
        (_, 2) => "run as root, or begin with: systemd-run --user --scope -p Delegate=yes",
        _ => {
            "run as root, or have root give you a group in each hierarchy (mkdir, chown) \
              and move your shell to it"
        }
    };
    Finding::missing(title, found, fix)
}

/// The hierarchies in `mountinfo`, each with our group in it, of which `/proc/self/cgroup` tells.
fn hierarchies(mountinfo: &str, cgroup: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        // 36 35 0:30 ROOT MOUNT-POINT OPTIONS … - TYPE SOURCE SUPER-OPTIONS (proc(5))
        let Some((mount, superblock)) = line.split_once(" - ") else { continue };
        let (mount, superblock): (Vec<_>, Vec<_>) =
            (mount.split(' ').collect(), superblock.split(' ').collect());
        let (&[_, _, _, root, mount_point, ..], &[kind, _, options]) =
            (mount.as_slice(), superblock.as_slice())
        else {
            continue;
        };
        let controllers: Vec<String> = (options.split(','))
            .filter(|option| kind == "cgroup" && NEEDED_V1.contains(option))
            .map(str::to_string)
            .collect();
        let version = if kind == "cgroup2" { 2 } else { 1 };
        if version == 1 && controllers.is_empty()
            || found.iter().any(|h| h.controllers == controllers)
        {
            continue;
        }
        let path = own_path(cgroup, controllers.first().map_or("", String::as_str));
        let mount_point = Path::new(mount_point);
        let own = match Path::new(path).strip_prefix(root) {
            Ok(beneath) if beneath != Path::new("") => mount_point.join(beneath),
            _ => mount_point.to_path_buf(),
        };
        found.push(Hierarchy { version, controllers, own, mount_point: mount_point.into() });
    }
    found
}

/// Our group in the hierarchy of `controller`; version 2 is the one without a name.
fn own_path<'a>(cgroup: &'a str, controller: &str) -> &'a str {
    (cgroup.lines())
        .filter_map(|line| line.split_once(':')?.1.split_once(':'))
        .find(|(controllers, _)| controllers.split(',').any(|name| name == controller))
        .map_or("/", |(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::{Hierarchy, hierarchies};

    fn hierarchy(version: u8, controllers: &[&str], mount_point: &str, own: &str) -> Hierarchy {
        Hierarchy {
            version,
            controllers: controllers.iter().map(ToString::to_string).collect(),
            mount_point: mount_point.into(),
            own: own.into(),
        }
    }

    #[test]
    fn version_2_has_one_hierarchy() {
        let mountinfo = "24 1 0:22 / /proc rw - proc proc rw\n\
            30 25 0:27 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let own = "/sys/fs/cgroup/user.slice/a.scope";
        assert_eq!(
            hierarchies(mountinfo, "0::/user.slice/a.scope\n"),
            [hierarchy(2, &[], "/sys/fs/cgroup", own)]
        );
    }

    #[test]
    fn version_1_has_one_for_each_group_of_controllers() {
        let mountinfo = "33 30 0:28 / /c/systemd rw - cgroup none rw,name=systemd\n\
            34 30 0:29 / /c/cpu,cpuacct rw - cgroup none rw,cpu,cpuacct\n\
            35 30 0:30 /docker/1 /c/memory ro - cgroup none rw,memory\n\
            36 30 0:31 / /c/unified rw - cgroup2 none rw\n";
        let cgroup = "4:memory:/docker/1/x\n3:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/\n";
        assert_eq!(
            hierarchies(mountinfo, cgroup),
            [
                hierarchy(1, &["cpu", "cpuacct"], "/c/cpu,cpuacct", "/c/cpu,cpuacct/a"),
                hierarchy(1, &["memory"], "/c/memory", "/c/memory/x"),
                hierarchy(2, &[], "/c/unified", "/c/unified/"),
            ]
        );
    }
}
