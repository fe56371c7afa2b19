//! System-call filters (seccomp(2)): one of ours, and one that is on us.

use std::fs;

use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;

use super::Finding;
use crate::sandbox::fork;

/// The shortest filter: `BPF_RET | BPF_K`, which returns the constant `k`.
const RETURN_ALLOW: libc::sock_filter =
    libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };

/// Whether a system-call filter is in force already, as in most containers.
pub fn is_filtered() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"]))
}

/// Installs a filter that allows everything (seccomp(2)).
pub fn examine() -> Finding {
    let trial = fork::attempt(|| {
        set_no_new_privs()?;
        let mut allow = RETURN_ALLOW;
        let program = libc::sock_fprog { len: 1, filter: &raw mut allow };
        let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
        // SAFETY: the kernel copies `program` and the one instruction that it points to.
        let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
        Errno::result(result)?;
        Ok(())
    });
    match trial {
        Ok(()) if is_filtered() => Finding::limited(
            "seccomp",
            "works, but a filter is on us already and may refuse what a step does",
            "leave this container, or start it with --security-opt seccomp=unconfined",
        ),
        Ok(()) => Finding::ok("seccomp", "can filter system calls"),
        Err(errno) => Finding::missing(
            "seccomp",
            format!("cannot install a filter: {}", errno.desc()),
            "boot a kernel of a distribution: the step seccomp needs CONFIG_SECCOMP_FILTER",
        ),
    }
}
