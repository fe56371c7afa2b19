//! PID 1 of the sandbox.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe2, setsid};

/// The first process of the sandbox. It does nothing but reap what others leave behind.
///
/// When it dies, with the judging process at the latest, the kernel kills everything inside
/// (`pid_namespaces(7)`).
pub struct Init(Pid);

impl Init {
    /// Forks it, to be the first in the new process-id namespace, and returns when it has mounted
    /// `/proc`.
    pub fn start(root: &Path) -> Result<Init> {
        let (answer, tell) = pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
        // SAFETY: this process has one thread, see `Sandbox::start`.
        match unsafe { fork() }.context("fork the init of the sandbox")? {
            ForkResult::Child => {
                drop(answer);
                be_init(root, tell.into())
            }
            ForkResult::Parent { child } => {
                drop(tell);
                let init = Init(child);
                let mut errno = [0; 4];
                let told = File::from(answer).read_exact(&mut errno);
                told.context("the init of the sandbox died")?;
                match i32::from_ne_bytes(errno) {
                    0 => Ok(init),
                    errno => Err(Errno::from_raw(errno)).context(
                        "mount a new /proc (does the container that we are in mask parts of it?)",
                    ),
                }
            }
        }
    }
}

impl Drop for Init {
    /// Ends everything inside, and returns when it has ended.
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

fn be_init(root: &Path, mut tell: File) -> ! {
    let _ = set_pdeathsig(Signal::SIGKILL);
    let _ = setsid();
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mounted = mount(Some("proc"), &root.join("proc"), Some("proc"), flags, None::<&str>);
    let errno = mounted.map_or_else(|errno| errno as i32, |()| 0);
    // Nobody listens only if the judging process has died already, perhaps before `set_pdeathsig`.
    let told = tell.write_all(&errno.to_ne_bytes());
    if told.is_err() || errno != 0 {
        // SAFETY: _exit has no precondition.
        unsafe { libc::_exit(0) }
    }
    // The standard streams too: the program under test may open /proc/1/fd, and must not reach the
    // report of the grader there.
    // SAFETY: the descriptors belong to the parent's work, nothing here uses them again.
    unsafe { libc::close_range(0, u32::MAX, 0) };
    reap_for_ever()
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
