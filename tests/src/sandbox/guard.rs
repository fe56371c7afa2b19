//! What a program inside is kept from: the dangerous capabilities, the clock, more processes and
//! memory than its share.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use anyhow::{Context, Result};
use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{setsid, write};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::limits::{Group, MEMORY, Member, PROCESSES};
use super::users::Privilege;

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
    doors: Arc<[File]>,
    filter: Option<Arc<BpfProgram>>,
    /// Whether each program gets a session of its own.
    session: bool,
}

impl Guard {
    /// Opens and compiles what [`Guard::confine`] needs.
    pub fn prepare(group: &Group, privilege: Privilege, session: bool) -> Result<Guard> {
        let doors = group.members().iter().map(Member::door).collect::<io::Result<_>>();
        let doors = doors.context("open the groups of the sandbox")?;
        // Root of a user namespace has no privilege that could be taken away.
        let filter = (privilege == Privilege::Root).then(compile_filter).transpose()?;
        Ok(Guard { doors, filter: filter.map(Arc::new), session })
    }

    /// Takes away what the program must not have. Called between fork and exec.
    pub fn confine(&self) -> io::Result<()> {
        // SAFETY: only sets flags on descriptors; 0, 1 and 2 stay.
        unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
        if self.session {
            // `kill 0` must not reach the judge's process group.
            setsid()?;
        }
        for door in self.doors.iter() {
            write(door, b"0")?;
        }
        // In a user namespace the count is the namespace's own, since Linux 5.14.
        lower(Resource::RLIMIT_NPROC, PROCESSES)?;
        lower(Resource::RLIMIT_DATA, MEMORY)?;
        lower(Resource::RLIMIT_CORE, 0)?;
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

/// Sets both limits of a resource, unless the caller's own is lower, which nobody may raise.
fn lower(resource: Resource, limit: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    setrlimit(resource, limit.min(hard), limit.min(hard))
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
    // SAFETY: `program` points to `len` instructions of the layout that the kernel wants;
    // seccompiler guarantees both, and the kernel copies them before the call returns.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, set, strict, &raw const program) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
