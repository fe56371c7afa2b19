//! Which ids of the host's a caller may use in his container.
//!
//! One is his own. Others can be granted to him: `/etc/subuid` and `/etc/subgid` list ranges that
//! belong to nobody else, and the set-uid programs newuidmap(1) and newgidmap(1) map them on his
//! behalf. A root file system with files of several users needs them.

use std::fs;
use std::io;

use anyhow::Context;
use nix::unistd::{User, getegid, geteuid};

/// One line of a map: some ids in a row, under other numbers inside than outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first one's number inside.
    pub inside: u32,
    /// The first one's number outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The kernel takes no longer map: see `user_namespaces(7)`.
const MOST_LINES: usize = 340;

/// The user ids for a container of the caller's: he himself is 0, those granted to him follow.
pub fn uids() -> anyhow::Result<Vec<Range>> {
    Ok(map(geteuid().as_raw(), &granted("/etc/subuid")?))
}

/// The group ids, likewise.
pub fn gids() -> anyhow::Result<Vec<Range>> {
    Ok(map(getegid().as_raw(), &granted("/etc/subgid")?))
}

/// First id and count of every range that `file` grants to the caller.
fn granted(file: &str) -> anyhow::Result<Vec<(u32, u32)>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(|| format!("read {file}"))?,
    };
    let uid = geteuid();
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let number = uid.to_string();
    let owners = [name.as_deref().unwrap_or(&number), &number];
    Ok(ranges(&text, &owners))
}

/// The ranges in the lines `OWNER:FIRST:COUNT`; whoever wrote one that says something else meant
/// nobody.
fn ranges(text: &str, owners: &[&str]) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let [owner, first, count] = line.split(':').collect::<Vec<_>>().try_into().ok()?;
        let (first, count): (u32, u32) = (first.parse().ok()?, count.trim_end().parse().ok()?);
        (owners.contains(&owner) && count > 0).then_some((first, count))
    };
    text.lines().filter_map(range).collect()
}

/// The caller as 0, and the ranges one after the other from 1 on.
fn map(caller: u32, granted: &[(u32, u32)]) -> Vec<Range> {
    let mut map = vec![Range { inside: 0, outside: caller, count: 1 }];
    let mut inside: u32 = 1;
    for (outside, count) in granted.iter().copied().take(MOST_LINES - 1) {
        map.push(Range { inside, outside, count });
        let Some(next) = inside.checked_add(count) else { break };
        inside = next;
    }
    map
}

#[cfg(test)]
mod tests {
    use super::{map, ranges};

    fn numbers(caller: u32, granted: &[(u32, u32)]) -> Vec<[u32; 3]> {
        let map = map(caller, granted);
        map.iter().map(|range| [range.inside, range.outside, range.count]).collect()
    }

    #[test]
    fn ranges_belong_to_a_name_or_a_number() {
        let text = "ann:100000:65536\nbob:165536:65536\n1000:300000:10\nann:0:0\nann:x:1\nann\n";
        assert_eq!(ranges(text, &["ann", "1000"]), [(100_000, 65536), (300_000, 10)]);
    }

    #[test]
    fn the_caller_is_0_and_the_others_follow() {
        assert_eq!(numbers(1000, &[]), [[0, 1000, 1]]);
        let granted = [(100_000, 65536), (300_000, 10)];
        let due = [[0, 1000, 1], [1, 100_000, 65536], [65537, 300_000, 10]];
        assert_eq!(numbers(1000, &granted), due);
    }
}
