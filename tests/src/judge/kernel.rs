//! What the kernel says of a process, read from outside of the container.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat, stat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::Pid;
use rustix::fs::fgetxattr;
use serde::{Deserialize, Serialize};

use crate::mountinfo::{self, Mount};
use crate::sandbox::{Host, fork};

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// The number of its file system.
    pub device: u64,
    /// Its own number in there.
    pub inode: u64,
}

impl From<FileStat> for FileId {
    fn from(stat: FileStat) -> FileId {
        FileId { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// A process, by its directory in the outer `/proc`: it stays this process even when the number is
/// given to another one.
pub struct Process<'h> {
    host: &'h Host,
    /// Its outer number.
    pub pid: Pid,
    dir: OwnedFd,
}

/// What a process sees that joins the mount namespace of another.
#[derive(Serialize, Deserialize)]
pub struct Joined {
    /// The root directory of the namespace.
    pub root: FileId,
    /// All of its mounts.
    pub mounts: Vec<Mount>,
}

impl<'h> Process<'h> {
    /// The process with this outer number.
    pub fn of(host: &'h Host, pid: Pid) -> Result<Process<'h>> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY;
        let dir = openat(&host.outer_proc, pid.to_string().as_str(), flags, Mode::empty())
            .with_context(|| format!("open /proc/{pid}"))?;
        Ok(Process { host, pid, dir })
    }

    /// The judging process itself, which sees what a process of the host sees.
    pub fn host(host: &'h Host) -> Result<Process<'h>> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY;
        let dir =
            openat(&host.outer_proc, "self", flags, Mode::empty()).context("open /proc/self")?;
        Ok(Process { host, pid: nix::unistd::getpid(), dir })
    }

    /// Whether the program that it runs has this content. (Seen through layers a file has another
    /// number, and a copy of it would do as well.)
    pub fn runs(&self, program: &[u8]) -> Result<bool> {
        let size = self.stat("exe")?.st_size;
        Ok(usize::try_from(size) == Ok(program.len()) && self.read("exe")? == program)
    }

    /// The root directory of the process.
    pub fn root(&self) -> Result<FileId> {
        Ok(self.stat("root")?.into())
    }

    /// The working directory of the process.
    pub fn cwd(&self) -> Result<FileId> {
        Ok(self.stat("cwd")?.into())
    }

    /// A file as the process would find it: `path` without the leading `/`.
    pub fn stat_inside(&self, path: &str) -> Result<FileStat> {
        self.stat(&format!("root/{path}"))
    }

    /// The same, where a symbolic link stands for itself.
    pub fn lstat_inside(&self, path: &str) -> Result<FileStat> {
        fstatat(&self.dir, format!("root/{path}").as_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
            .with_context(|| format!("lstat /{path}"))
    }

    /// The type of the file system that the process finds at `path`, without the leading `/`.
    pub fn filesystem_inside(&self, path: &str) -> Result<FsType> {
        let file = self.open(&format!("root/{path}"), OFlag::O_PATH)?;
        Ok(fstatfs(&file).with_context(|| format!("statfs /{path}"))?.filesystem_type())
    }

    /// An extended attribute of a file that the process finds at `path`, without the leading `/`.
    pub fn attribute_inside(&self, path: &str, name: &str) -> Result<Vec<u8>> {
        let file = self.open(&format!("root/{path}"), OFlag::O_RDONLY)?;
        let mut value = vec![0; 256];
        let length = fgetxattr(&file, name, &mut value[..])
            .with_context(|| format!("read the attribute {name} of /{path}"))?;
        value.truncate(length);
        Ok(value)
    }

    /// The names in a directory as the process finds it, without the leading `/`.
    pub fn list_inside(&self, path: &str) -> Result<Vec<String>> {
        self.list(&format!("root/{path}"))
    }

    /// The inode of one of its namespaces, by which two can be compared (`namespaces(7)`).
    pub fn namespace(&self, kind: &str) -> Result<u64> {
        Ok(self.stat(&format!("ns/{kind}"))?.st_ino)
    }

    /// The inode of the user namespace that one of its namespaces belongs to (`ioctl_ns(2)`).
    pub fn owner_of_namespace(&self, kind: &str) -> Result<u64> {
        let namespace = self.open(&format!("ns/{kind}"), OFlag::O_RDONLY)?;
        let owner = related(namespace.as_fd(), libc::NS_GET_USERNS)
            .with_context(|| format!("ioctl NS_GET_USERNS on ns/{kind}"))?;
        Ok(fstat(&owner).context("stat a user namespace")?.st_ino)
    }

    /// Whether it lives in the PID namespace that the judge has made, or in one below: on this
    /// throw-away host, and on no other one that somebody has made beside it.
    pub fn is_on_this_host(&self) -> Result<bool> {
        // Whoever unshares it stays outside (pid_namespaces(7)).
        let ours = Process::host(self.host)?.namespace("pid_for_children")?;
        let mut namespace = OwnedFd::from(self.open("ns/pid", OFlag::O_RDONLY)?);
        while fstat(&namespace).context("stat a PID namespace")?.st_ino != ours {
            namespace = match related(namespace.as_fd(), libc::NS_GET_PARENT) {
                // There is none, or it is none of our business.
                Err(Errno::EPERM) => return Ok(false),
                parent => parent.context("ioctl NS_GET_PARENT")?,
            };
        }
        Ok(true)
    }

    /// The lines of its `uid_map` or `gid_map`: first id inside, first id outside, and how many.
    pub fn id_map(&self, file: &str) -> Result<Vec<[u32; 3]>> {
        let line = |line: &str| {
            let numbers = line.split_whitespace().map(|number| Ok(number.parse()?));
            let numbers: Vec<u32> = numbers.collect::<Result<_>>()?;
            <[u32; 3]>::try_from(numbers).map_err(|_| anyhow!("a line of {file} is {line:?}"))
        };
        self.text(file)?.lines().map(line).collect()
    }

    /// Its `/proc/PID/cgroup`, as a process sees it that joins its cgroup namespace.
    pub fn cgroup_inside(&self) -> Result<String> {
        let namespace = self.open("ns/cgroup", OFlag::O_RDONLY)?;
        fork::run(|| {
            setns(&namespace, CloneFlags::CLONE_NEWCGROUP)
                .context("setns to the cgroup namespace")?;
            self.text("cgroup")
        })
    }

    /// One of its files that holds text.
    pub fn text(&self, file: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.read(file)?).into_owned())
    }

    /// Its arguments, the name of the program first.
    pub fn arguments(&self) -> Result<Vec<OsString>> {
        Ok(split_at_nul(self.read("cmdline")?))
    }

    /// Its environment at the time of the exec, as `NAME=VALUE`.
    pub fn environment(&self) -> Result<Vec<OsString>> {
        Ok(split_at_nul(self.read("environ")?))
    }

    /// The fields of `/proc/PID/status`.
    pub fn status(&self) -> Result<BTreeMap<String, String>> {
        let text = String::from_utf8_lossy(&self.read("status")?).into_owned();
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(fields.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect())
    }

    /// One field of `/proc/PID/status`, empty where this kernel has no such field.
    pub fn status_field(&self, field: &str) -> Result<String> {
        Ok(self.status()?.remove(field).unwrap_or_default())
    }

    /// Its number in its own process-id namespace, the innermost one.
    pub fn inner_pid(&self) -> Result<i32> {
        let numbers = self.status_field("NSpid")?;
        let last = numbers.split_whitespace().next_back().unwrap_or_default();
        last.parse().with_context(|| format!("NSpid of process {} is {numbers:?}", self.pid))
    }

    /// Sends it a signal, from outside.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid, signal).with_context(|| format!("send {signal} to process {}", self.pid))
    }

    /// Its open descriptors, and what each refers to: a path, or `pipe:[123]`.
    pub fn descriptors(&self) -> Result<BTreeMap<i32, String>> {
        let mut open = BTreeMap::new();
        for name in self.list("fd")? {
            let Ok(number) = name.parse() else { continue };
            let target = readlinkat(&self.dir, format!("fd/{name}").as_str());
            open.insert(number, target.unwrap_or_default().to_string_lossy().into_owned());
        }
        Ok(open)
    }

    /// The mounts of its namespace that it can reach from its root.
    pub fn mounts(&self) -> Result<Vec<Mount>> {
        Ok(mountinfo::parse(&self.read("mountinfo")?))
    }

    /// The root and all mounts of its mount namespace, as a process sees them that joins it.
    pub fn joined(&self) -> Result<Joined> {
        let namespace = self.open("ns/mnt", OFlag::O_RDONLY)?;
        fork::run(|| {
            setns(&namespace, CloneFlags::CLONE_NEWNS).context("setns to the mount namespace")?;
            let root = stat("/").context("stat /")?.into();
            Ok(Joined { root, mounts: Process::host(self.host)?.mounts()? })
        })
    }

    /// The state letter of `/proc/PID/stat`: `R`, `S`, `Z` …; `None` when the process is gone.
    pub fn state(&self) -> Option<char> {
        self.status_field("State").ok()?.chars().next()
    }

    /// The outer number of its parent.
    pub fn parent(&self) -> Option<i32> {
        self.status_field("PPid").ok()?.parse().ok()
    }

    /// Waits until the process has ended; false if it has not within `limit`.
    pub fn ends_within(&self, limit: Duration) -> Result<bool> {
        // SAFETY: pidfd_open takes a number and flags, and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid.as_raw(), 0) };
        let fd = match Errno::result(fd) {
            // EINVAL as long as the number still stands for a group or a session.
            Err(Errno::ESRCH | Errno::EINVAL) => return Ok(true),
            fd => i32::try_from(fd.context("pidfd_open")?).context("a descriptor is an int")?,
        };
        // The number may already be another process's: then ours has ended.
        if self.state().is_none() {
            return Ok(true);
        }
        // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut wait = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        Ok(poll(&mut wait, timeout).context("poll a pidfd")? > 0)
    }

    fn stat(&self, path: &str) -> Result<FileStat> {
        fstatat(&self.dir, path, AtFlags::empty())
            .with_context(|| format!("stat /proc/{}/{path}", self.pid))
    }

    fn open(&self, path: &str, flags: OFlag) -> Result<File> {
        let fd = openat(&self.dir, path, flags | OFlag::O_CLOEXEC, Mode::empty())
            .with_context(|| format!("open /proc/{}/{path}", self.pid))?;
        Ok(fd.into())
    }

    /// One of its files in `/proc`.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path, OFlag::O_RDONLY)?
            .read_to_end(&mut bytes)
            .with_context(|| format!("read /proc/{}/{path}", self.pid))?;
        Ok(bytes)
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        list(&self.dir, path).with_context(|| format!("list /proc/{}/{path}", self.pid))
    }
}

/// The names in a directory below an open one.
pub fn list(dir: &OwnedFd, path: &str) -> nix::Result<Vec<String>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut dir = nix::dir::Dir::openat(dir, path, flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn split_at_nul(mut bytes: Vec<u8>) -> Vec<OsString> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    } else if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|byte| *byte == 0).map(|part| OsString::from_vec(part.to_vec())).collect()
}

/// The namespace that stands in this relation to another one (`ioctl_ns(2)`).
fn related(namespace: BorrowedFd, request: libc::Ioctl) -> nix::Result<OwnedFd> {
    // SAFETY: the request takes no argument, and returns a new descriptor or -1.
    let fd = Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), request) })?;
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
