//! Who has which address: a register that the kernel keeps.
//!
//! Fifty containers that start at the same moment must get fifty addresses, and one that was killed
//! must give its own back. A file with a list in it would need a lock, and somebody who tidies up.
//! Instead a container's address is the name of a socket that its step holds open, in the abstract
//! namespace of unix(7): two sockets cannot have the same name, and when a process ends, however it
//! ends, its sockets are gone. Abstract names belong to a network namespace, and so do addresses.

use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::{Context, bail};

use crate::subnet::Subnet;

/// An address that nobody else has as long as this lives.
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    socket: UnixDatagram,
}

impl Lease {
    /// Takes the address that is wanted, or else the first that is free.
    pub fn take(subnet: Subnet, wanted: Option<Ipv4Addr>) -> anyhow::Result<Lease> {
        if let Some(address) = wanted {
            if !subnet.containers().any(|containers| containers == address) {
                bail!("--ip {address} is not an address for a container in {subnet}");
            }
            return try_take(address)?.with_context(|| format!("--ip {address} is in use"));
        }
        for address in subnet.containers() {
            if let Some(lease) = try_take(address)? {
                return Ok(lease);
            }
        }
        bail!("every address of {subnet} is in use")
    }
}

impl AsRawFd for Lease {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Whether some process has leased the address.
pub fn is_taken(address: Ipv4Addr) -> anyhow::Result<bool> {
    let socket = UnixDatagram::unbound().context("socket")?;
    match socket.connect_addr(&name(address)?) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error).with_context(|| format!("ask for the lease of {address}")),
    }
}

fn try_take(address: Ipv4Addr) -> anyhow::Result<Option<Lease>> {
    match UnixDatagram::bind_addr(&name(address)?) {
        Ok(socket) => Ok(Some(Lease { address, socket })),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error).with_context(|| format!("take the lease of {address}")),
    }
}

fn name(address: Ipv4Addr) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("cooperage/lease/{address}"))
}
