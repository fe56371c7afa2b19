//! A child in a user namespace of its own.
//!
//! The kernel makes this namespace before all others that the same clone(2) asks for, and these then
//! belong to it. But in the new namespace nobody has a number yet. Until its ids are mapped the child
//! is the "overflow" user 65534, and what it makes belongs to that one. So it waits, and its parent,
//! who is still outside, writes the maps.

use std::convert::Infallible;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::Context;
use net_ns::{Waiting, spawn_waiting};
use nix::errno::Errno;
use nix::libc;
use nix::sched::CloneFlags;
use nix::unistd::{Pid, geteuid};

use crate::ids::{Range, gids, uids};
use crate::refusal;

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct UserOptions {
    /// Give the container a user namespace of its own, as it always has without root
    #[arg(long)]
    pub userns: bool,
}

/// Whose users the container has.
pub enum Users {
    /// The host's: 0 inside is 0 outside.
    Hosts,
    /// Its own.
    Own {
        /// Its user ids.
        uids: Vec<Range>,
        /// Its group ids.
        gids: Vec<Range>,
    },
}

/// What maps users and what maps groups: the file in `/proc/PID`, and the program that may write to it
/// on behalf of an ordinary user.
#[derive(Clone, Copy)]
enum Kind {
    Uid,
    Gid,
}

impl UserOptions {
    /// Own users if that was asked for, and always for a caller who is not root: he has no other way.
    pub fn users(&self) -> anyhow::Result<Users> {
        if self.userns || !geteuid().is_root() { Users::own() } else { Ok(Users::Hosts) }
    }
}

impl Users {
    /// A user namespace in which the caller is user 0, and the ids that were granted to him follow.
    pub fn own() -> anyhow::Result<Users> {
        Ok(Users::Own { uids: uids()?, gids: gids()? })
    }

    /// Runs `child` in a new process that waits, with these users and the namespaces of `flags`.
    pub fn spawn(
        &self,
        flags: CloneFlags,
        child: impl FnOnce() -> anyhow::Result<Infallible>,
    ) -> anyhow::Result<Waiting> {
        match self {
            Users::Hosts => spawn_waiting(flags, child),
            Users::Own { .. } => spawn_waiting(CloneFlags::CLONE_NEWUSER | flags, child)
                .map_err(refusal::explain_clone),
        }
    }

    /// The parent's part: gives numbers to the users of the child, which waits.
    pub fn map(&self, child: Pid) -> anyhow::Result<()> {
        let Users::Own { uids, gids } = self else { return Ok(()) };
        map_ids(child, Kind::Uid, uids)?;
        map_ids(child, Kind::Gid, gids)
    }

    /// The child's part, when it has a number: makes sure that it is root now, and not only by name.
    pub fn become_root(&self) -> anyhow::Result<()> {
        let Users::Own { .. } = self else { return Ok(()) };
        // A security module may let us make the namespace and then refuse us everything in it. Asked
        // to drop a capability that does not exist, the kernel looks first whether we may drop any.
        // SAFETY: prctl(2) takes five integers here and touches no memory of ours.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, 63, 0, 0, 0) };
        match Errno::result(result) {
            Err(Errno::EPERM) => Err(refusal::powerless()),
            _ => Ok(()),
        }
    }
}

/// Writes a map, the whole of it if somebody lets us, else its first line: the caller himself.
fn map_ids(child: Pid, kind: Kind, map: &[Range]) -> anyhow::Result<()> {
    // Root may write any map by himself.
    if map.len() > 1 && (write(child, kind, map).is_ok() || ask_for(child, kind, map)) {
        return Ok(());
    }
    if matches!(kind, Kind::Gid) {
        // Whoever may drop a group can reach a file whose mode shuts that group out. So without
        // privilege a group can only be mapped once nobody in the namespace may change his groups.
        let file = format!("/proc/{child}/setgroups");
        fs::write(&file, "deny").with_context(|| format!("write deny to {file}"))?;
    }
    write(child, kind, &map[..1])
}

/// Writes the lines in one write(2): the kernel takes no second one.
fn write(child: Pid, kind: Kind, map: &[Range]) -> anyhow::Result<()> {
    let file = format!("/proc/{child}/{}", kind.file());
    let lines: Vec<_> = map.iter().map(|range| numbers(range).join(" ")).collect();
    fs::write(&file, lines.join("\n"))
        .with_context(|| format!("write \"{}\" to {file}", lines.join(", ")))
}

/// Has newuidmap(1) or newgidmap(1) write the map. False where there is no such program, or where it
/// has no power: set-uid counts for nothing below `no_new_privs` or on a `nosuid` mount.
fn ask_for(child: Pid, kind: Kind, map: &[Range]) -> bool {
    Command::new(kind.program())
        .arg(child.to_string())
        .args(map.iter().flat_map(numbers))
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

fn numbers(range: &Range) -> [String; 3] {
    [range.inside, range.outside, range.count].map(|number| number.to_string())
}

impl Kind {
    fn file(self) -> &'static str {
        match self {
            Kind::Uid => "uid_map",
            Kind::Gid => "gid_map",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Kind::Uid => "newuidmap",
            Kind::Gid => "newgidmap",
        }
    }
}
