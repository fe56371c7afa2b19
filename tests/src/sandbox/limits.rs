//! A control group for everything inside of one sandbox, where the caller may make one.
//!
//! On cgroup version 1 there is one group in each of the `memory` and `pids` hierarchies, on version
//! 2 a single one (`cgroups(7)`).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use super::guard::{MEMORY, PROCESSES};
use crate::mountinfo;

/// A mounted cgroup hierarchy.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    pub mount_point: PathBuf,
    /// `cgroup` (version 1) or `cgroup2`.
    pub kind: String,
    /// The mount option that names it: `memory`, `cpu,cpuacct`; empty for version 2.
    pub options: String,
    /// The directory of the caller's own group.
    pub current: PathBuf,
}

impl Hierarchy {
    /// Where a group may be made: below the caller's own, beside it (on version 2 a group that holds
    /// processes hands no controllers down), or, for root, at the top.
    fn parents(&self) -> impl Iterator<Item = &Path> {
        let beside = self.current.parent().filter(|dir| dir.starts_with(&self.mount_point));
        [Some(self.current.as_path()), beside, Some(&self.mount_point)].into_iter().flatten()
    }
}

/// The hierarchies that can limit something: version 2, or the `memory` and `pids` of version 1.
pub fn hierarchies() -> Result<Vec<Hierarchy>> {
    let own = fs::read_to_string("/proc/self/cgroup").context("read /proc/self/cgroup")?;
    // Lines are `4:memory:/path`; version 2 is `0::/path`.
    let own: HashMap<&str, &str> =
        own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
    let mounts = mountinfo::of_this_process()?;
    let found = mounts.iter().filter_map(|mount| {
        let controllers = match mount.kind.as_str() {
            "cgroup2" => "",
            "cgroup" => mount.path.file_name()?.to_str()?,
            _ => return None,
        };
        let path = own.get(controllers)?.trim_start_matches('/');
        Some(Hierarchy {
            mount_point: mount.path.clone(),
            kind: mount.kind.clone(),
            options: controllers.to_owned(),
            current: mount.path.join(path),
        })
    });
    let limiting =
        |hierarchy: &Hierarchy| ["", "memory", "pids"].contains(&hierarchy.options.as_str());
    Ok(found.filter(limiting).collect())
}

/// The groups of one sandbox; they are removed with this value.
pub struct Group {
    dirs: Vec<PathBuf>,
}

impl Group {
    /// Makes the groups and writes their limits. Where none can be made, there is none: the
    /// sandbox then has only the limits of single processes.
    pub fn make() -> Group {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cooperage-{}-{number}", std::process::id());
        let mut group = Group { dirs: Vec::new() };
        for hierarchy in hierarchies().unwrap_or_default() {
            for parent in hierarchy.parents() {
                remove_abandoned(parent);
                let dir = parent.join(&name);
                if fs::create_dir(&dir).is_err() {
                    continue;
                }
                if limit(&dir) {
                    group.dirs.push(dir);
                    break;
                }
                let _ = fs::remove_dir(&dir);
            }
        }
        group
    }

    /// The directories of the groups.
    pub fn dirs(&self) -> Vec<PathBuf> {
        self.dirs.clone()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for dir in &self.dirs {
            remove(dir);
        }
    }
}

/// Writes whatever limits this group knows; false if it knows none.
fn limit(dir: &Path) -> bool {
    let memory = MEMORY.to_string();
    let processes = PROCESSES.to_string();
    [("memory.max", &memory), ("memory.limit_in_bytes", &memory), ("pids.max", &processes)]
        .iter()
        .filter(|(file, value)| dir.join(file).exists() && fs::write(dir.join(file), value).is_ok())
        .count()
        > 0
}

/// Removes the groups of graders that were killed before they could: empty ones, a minute old.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker =
            name.to_str().and_then(|name| name.strip_prefix("cooperage-")?.split('-').next());
        let Some(maker) = maker.and_then(|number| number.parse::<u32>().ok()) else { continue };
        let age = entry.metadata().and_then(|dir| dir.modified()).map(|time| time.elapsed());
        let old = age.is_ok_and(|age| age.is_ok_and(|age| age > Duration::from_secs(60)));
        if old && !Path::new("/proc").join(maker.to_string()).exists() {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Removes a group and what the program made below it. The last process may still be dying.
fn remove(dir: &Path) {
    for below in fs::read_dir(dir).into_iter().flatten().flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&below.path());
        }
    }
    for _ in 0..500 {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                sleep(Duration::from_millis(2));
            }
            _ => return,
        }
    }
}
