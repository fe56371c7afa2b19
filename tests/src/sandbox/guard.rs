//! What a program inside is kept from: the dangerous capabilities, the clock, more processes and
//! memory than its share.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{setsid, write};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// How many processes may exist inside.
pub const PROCESSES: u64 = 128;
/// How much memory they may use together, in bytes.
pub const MEMORY: u64 = 768 << 20;

/// What root of the real host loses. Steps need the others: `CAP_SYS_TIME`, for example, to set
/// the offsets of a time namespace; so setting the clock itself is stopped by the filter below.
const DANGEROUS: [Capability; 14] = [
    Capability::CAP_AUDIT_CONTROL,
    Capability::CAP_AUDIT_READ,
    Capability::CAP_BLOCK_SUSPEND,
    Capability::CAP_BPF,
    Capability::CAP_LINUX_IMMUTABLE,
    Capability::CAP_MAC_ADMIN,
    Capability::CAP_MAC_OVERRIDE,
    Capability::CAP_PERFMON,
    Capability::CAP_SYSLOG,
    Capability::CAP_SYS_BOOT,
    Capability::CAP_SYS_MODULE,
    Capability::CAP_SYS_RAWIO,
    Capability::CAP_SYS_RESOURCE,
    Capability::CAP_WAKE_ALARM,
];

/// System calls that change the real machine, answered with EPERM.
const REFUSED: [libc::c_long; 12] = [
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
];

/// Everything that a child needs, between fork and exec, to confine itself.
#[derive(Clone)]
pub struct Guard {
    /// The `cgroup.procs` files of the sandbox's groups.
    groups: Arc<[OwnedFd]>,
    /// Where a cgroup file system is mounted outside, and how.
    hierarchies: Arc<[super::limits::Hierarchy]>,
    filter: Option<Arc<BpfProgram>>,
    /// Whether each program gets a session of its own.
    session: bool,
}

impl Guard {
    /// Opens and compiles what [`Guard::confine`] needs, and makes the cgroup namespace whose root
    /// are the sandbox's groups. `rootless`: there is no privilege that could be taken away.
    pub fn prepare(groups: &[PathBuf], rootless: bool, session: bool) -> Result<Guard> {
        let files: Vec<OwnedFd> =
            groups.iter().map(|dir| open_procs(dir)).collect::<Result<_>>()?;
        let hierarchies = super::limits::hierarchies()?;
        if !files.is_empty() {
            enter_cgroup_namespace(&files, &hierarchies, groups)?;
        }
        let filter = if rootless { None } else { Some(Arc::new(compile_filter()?)) };
        let hierarchies = hierarchies
            .into_iter()
            .filter(|hierarchy| groups.iter().any(|dir| dir.starts_with(&hierarchy.mount_point)))
            .collect();
        Ok(Guard { groups: files.into(), hierarchies, filter, session })
    }

    /// Mounts the sandbox's view of its groups below the new root.
    pub fn mount_cgroups(&self, root: &Path) -> Result<()> {
        for hierarchy in self.hierarchies.iter() {
            let target =
                root.join(hierarchy.mount_point.strip_prefix("/").unwrap_or(Path::new("")));
            if hierarchy.kind == "cgroup" {
                let top = root.join("sys/fs/cgroup");
                if !crate::mountinfo::of_this_process()?.iter().any(|mount| mount.path == top) {
                    let options = Some("mode=755,size=1m");
                    mount(Some("tmpfs"), &top, Some("tmpfs"), MsFlags::MS_NOSUID, options)
                        .context("mount a tmpfs on /sys/fs/cgroup")?;
                }
                std::fs::create_dir_all(&target).context("make a mount point for cgroups")?;
            }
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            let (kind, options) = (hierarchy.kind.as_str(), hierarchy.options.as_str());
            mount(Some(kind), &target, Some(kind), flags, Some(options))
                .with_context(|| format!("mount {kind} on {}", target.display()))?;
        }
        Ok(())
    }

    /// Takes away what the program must not have. Called between fork and exec.
    pub fn confine(&self) -> io::Result<()> {
        // SAFETY: only sets flags on descriptors; 0, 1 and 2 stay.
        unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
        if self.session {
            // `kill 0` must not reach the judge's process group.
            setsid()?;
        }
        for group in self.groups.iter() {
            write(group, b"0")?;
        }
        // In a user namespace the count is the namespace's own, since Linux 5.14.
        setrlimit(Resource::RLIMIT_NPROC, PROCESSES, PROCESSES)?;
        setrlimit(Resource::RLIMIT_DATA, MEMORY, MEMORY)?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        if let Some(filter) = &self.filter {
            for capability in DANGEROUS {
                // One that this process does not have cannot be dropped, and need not be.
                let _ = caps::drop(None, CapSet::Bounding, capability);
            }
            install(filter)?;
        }
        Ok(())
    }
}

fn open_procs(dir: &Path) -> Result<OwnedFd> {
    let path = dir.join("cgroup.procs");
    open(&path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", path.display()))
}

/// The root of a cgroup namespace is the group of the process that makes it, so this process joins
/// the groups for a moment; it must not stay, or a program's limits would be the judge's too.
fn enter_cgroup_namespace(
    files: &[OwnedFd],
    hierarchies: &[super::limits::Hierarchy],
    groups: &[PathBuf],
) -> Result<()> {
    let back: Vec<OwnedFd> = hierarchies
        .iter()
        .filter(|hierarchy| groups.iter().any(|dir| dir.starts_with(&hierarchy.mount_point)))
        .map(|hierarchy| open_procs(&hierarchy.current))
        .collect::<Result<_>>()?;
    for file in files {
        write(file, b"0").context("join the group of the sandbox")?;
    }
    unshare(CloneFlags::CLONE_NEWCGROUP).context("unshare the cgroup namespace")?;
    for file in &back {
        write(file, b"0").context("go back to the group of the caller")?;
    }
    Ok(())
}

fn compile_filter() -> Result<BpfProgram> {
    let rules: BTreeMap<i64, Vec<_>> = REFUSED.iter().map(|number| (*number, vec![])).collect();
    let refuse = SeccompAction::Errno(Errno::EPERM as u32);
    let arch = std::env::consts::ARCH.try_into().context("this architecture")?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?;
    filter.try_into().context("compile the system-call filter")
}

/// Installs a filter without `no_new_privs`, so that set-uid programs work as on a host; that needs
/// `CAP_SYS_ADMIN`, which only root has (`seccomp(2)`).
fn install(filter: &BpfProgram) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    let (set, strict) = (libc::SECCOMP_SET_MODE_FILTER, 0);
    // SAFETY: `program` points to `len` instructions of the layout that the kernel wants; seccompiler
    // guarantees both, and the kernel copies them before the call returns.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, set, strict, &raw const program) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
