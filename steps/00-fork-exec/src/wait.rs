//! The parent waits.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;

use anyhow::Context;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::fork::Child;
use crate::signals;

/// Waits for the child to end, passes signals on to it meanwhile, and returns its status as a shell
/// reports it: the exit code, or 128+N if signal N killed it.
pub fn wait(child: &Child) -> anyhow::Result<ExitCode> {
    loop {
        let mut fds = [
            PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(child.signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("poll"),
        }
        let [ended, signalled] = fds.map(|fd| fd.any() == Some(true));
        if ended {
            return status(&child.pidfd);
        }
        if signalled {
            signals::pass_on(child)?;
        }
    }
}

/// Takes the status of a child that has ended, and with it the last trace: until then it is a
/// zombie.
fn status(pidfd: &OwnedFd) -> anyhow::Result<ExitCode> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let id = pidfd.as_raw_fd().cast_unsigned();
    // nix has a waitid too, but no name for a real-time signal: with that it fails.
    // SAFETY: the kernel writes one siginfo_t to `info`, which is there for it.
    let result = unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), libc::WEXITED) };
    Errno::result(result).context("waitid")?;
    // SAFETY: all-zero bytes are a valid siginfo_t, and after a successful waitid(2) it has an
    // si_status.
    let (code, status) = unsafe {
        let info = info.assume_init();
        (info.si_code, info.si_status())
    };
    let status = if code == libc::CLD_EXITED { status } else { 128 + status };
    Ok(ExitCode::from(u8::try_from(status).context("waitid")?))
}
