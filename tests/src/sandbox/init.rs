//! PID 1 of the sandbox.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, pipe2, setsid};

/// Forks the first process of the new process-id namespace and returns when it has mounted `/proc`.
///
/// It does nothing but reap what others leave behind. When it dies, with the judging process at the
/// latest, the kernel kills everything inside (`pid_namespaces(7)`).
pub fn start(root: &Path) -> Result<()> {
    let (answer, tell) = pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
    // SAFETY: this process has one thread, see `Sandbox::start`.
    match unsafe { fork() }.context("fork the init of the sandbox")? {
        ForkResult::Child => {
            let _ = set_pdeathsig(Signal::SIGKILL);
            let _ = setsid();
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            let mounted =
                mount(Some("proc"), &root.join("proc"), Some("proc"), flags, None::<&str>);
            let errno = mounted.map_or_else(|errno| errno as i32, |()| 0);
            let _ = std::fs::File::from(tell).write_all(&errno.to_ne_bytes());
            // The standard streams too: the program under test may open /proc/1/fd, and must not reach
            // the report of the grader there.
            // SAFETY: the descriptors belong to the parent's work, nothing here uses them again.
            unsafe { libc::close_range(0, u32::MAX, 0) };
            reap_for_ever()
        }
        ForkResult::Parent { .. } => {
            drop(tell);
            let mut errno = [0; 4];
            std::fs::File::from(answer)
                .read_exact(&mut errno)
                .context("the init of the sandbox died")?;
            match i32::from_ne_bytes(errno) {
                0 => Ok(()),
                errno => bail!(
                    "mount a new /proc: {} (is this inside of a container that masks parts of /proc?)",
                    nix::errno::Errno::from_raw(errno)
                ),
            }
        }
    }
}

fn reap_for_ever() -> ! {
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&children), None);
    loop {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
        let _ = children.wait();
    }
}
