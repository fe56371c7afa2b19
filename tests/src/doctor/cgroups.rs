//! Control groups (cgroups(7)): which version, which controllers, and whether the caller may
//! make groups. Looked up, not tried: other people's groups are left alone.

use std::fs;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::Finding;
use crate::sandbox::cgroups::{Hierarchy, hierarchies};
use crate::sandbox::users::Privilege;

/// What the steps from cgroup-cpu to cgroup-pids-io need, in each version.
const NEEDED_V1: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "blkio"];
const NEEDED_V2: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// Looks which layout this host has, and what of it the caller may use.
pub fn examine(privilege: Privilege) -> Vec<Finding> {
    let (v2, v1): (Vec<_>, Vec<_>) =
        hierarchies().unwrap_or_default().into_iter().partition(Hierarchy::is_unified);
    let needed = |hierarchy: &Hierarchy| {
        hierarchy.controllers.iter().any(|name| NEEDED_V1.contains(&name.as_str()))
    };
    let v1: Vec<_> = v1.into_iter().filter(needed).collect();
    if let (true, Some(unified)) = (v1.is_empty(), v2.first()) {
        let place = place(unified, privilege);
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

/// Where the caller would make a group: root anywhere, others below their own.
fn place(hierarchy: &Hierarchy, privilege: Privilege) -> &Path {
    match privilege {
        Privilege::Root => &hierarchy.mount_point,
        _ => &hierarchy.own,
    }
}

/// Whether the caller may make a group there, and move its processes to it.
fn is_writable(place: &Path) -> bool {
    [place.to_owned(), place.join("cgroup.procs")]
        .iter()
        .all(|path| faccessat(AT_FDCWD, path, AccessFlags::W_OK, AtFlags::AT_EACCESS).is_ok())
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
    let closed = hierarchies.iter().find(|one| !is_writable(place(one, privilege)));
    let Some(closed) = closed else {
        return Finding::ok(title, "can make groups to set limits by, for steps and sandbox alike");
    };
    let found = format!(
        "cannot make a group in {}: nothing to set limits by, for steps and sandbox alike",
        place(closed, privilege).display()
    );
    let fix = match (privilege, closed.is_unified()) {
        (Privilege::Root, _) => "leave this container, or start it with --privileged",
        (_, true) => "run as root, or begin with: systemd-run --user --scope -p Delegate=yes",
        _ => {
            "run as root, or have root give you a group in each hierarchy (mkdir, chown) \
              and move your shell to it"
        }
    };
    Finding::missing(title, found, fix)
}
