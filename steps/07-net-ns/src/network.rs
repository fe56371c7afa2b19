//! Which network a container gets.

use anyhow::Context;
use clap::ValueEnum;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct NetOptions {
    /// Which network the container gets
    #[arg(long, value_enum, default_value_t, value_name = "NETWORK")]
    pub network: NetworkMode,
}

/// A value of `--network`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum NetworkMode {
    /// Its own, with nothing but a loopback interface
    #[default]
    None,
    /// The host's
    Host,
}

/// The network of one container.
pub enum Network {
    /// Its own, with nothing but `lo`.
    None,
    /// The host's.
    Host,
}

/// What connects a container to the outside. It goes when this is dropped.
pub struct Link;

impl NetOptions {
    /// What the options ask for. Nothing is made yet.
    pub fn network(&self) -> anyhow::Result<Network> {
        Ok(match self.network {
            NetworkMode::None => Network::None,
            NetworkMode::Host => Network::Host,
        })
    }
}

impl Network {
    /// The namespaces that the child must be born with.
    #[must_use]
    pub fn flags(&self) -> CloneFlags {
        match self {
            Network::Host => CloneFlags::empty(),
            Network::None => CloneFlags::CLONE_NEWNET,
        }
    }

    /// The parent's part, while the child waits.
    pub fn attach(&self, _child: Pid) -> anyhow::Result<Link> {
        Ok(Link)
    }

    /// The child's part, in its own network namespace.
    pub fn configure(&self) -> anyhow::Result<()> {
        match self {
            Network::Host => Ok(()),
            Network::None => loopback_up().context("bring up lo"),
        }
    }
}

/// Sets `IFF_UP` on `lo` (`netdevice(7)`).
fn loopback_up() -> nix::Result<()> {
    use std::os::fd::AsRawFd;

    use nix::errno::Errno;
    use nix::libc;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all zeros is a valid ifreq: it holds only numbers and character arrays.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
    // SAFETY: the request is an initialised ifreq and outlives the call.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    Errno::result(result).map(drop)
}
