//! The network that a process sees: interfaces, addresses and routes, as `/proc/PID/net` has them.
//!
//! The judge shares its network with the throw-away host, so it sees the host's through its own.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::kernel::Process;
use super::netfilter::nftables;
use super::trial::Trial;
use crate::sandbox::fork;

/// A route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The first address that it is for.
    pub destination: Ipv4Addr,
    /// Which bits of the address count.
    pub mask: Ipv4Addr,
    /// Who passes the packets on; 0.0.0.0 if they arrive without anybody's help.
    pub gateway: Ipv4Addr,
}

impl Route {
    /// Whether an address is among those that the route is for.
    pub fn covers(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask.to_bits() == self.destination.to_bits()
    }

    /// The destination as options have it: `10.1.2.0/24`.
    pub fn cidr(&self) -> String {
        format!("{}/{}", self.destination, self.mask.to_bits().leading_ones())
    }
}

impl Process<'_> {
    /// The names of its network interfaces.
    pub fn interfaces(&self) -> Result<BTreeSet<String>> {
        let text = self.network_file("dev")?;
        let names = text.lines().filter_map(|line| line.split_once(':'));
        Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
    }

    /// The IPv4 addresses that are its own.
    pub fn addresses(&self) -> Result<BTreeSet<Ipv4Addr>> {
        let text = self.network_file("fib_trie")?;
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        // `|-- 10.0.0.1`, and below it what the address means.
        let local = lines.windows(2).filter(|pair| pair[1] == "/32 host LOCAL");
        Ok(local.filter_map(|pair| pair[0].strip_prefix("|-- ")?.parse().ok()).collect())
    }

    /// Its IPv4 routes.
    pub fn routes(&self) -> Result<BTreeSet<Route>> {
        let text = self.network_file("route")?;
        text.lines().skip(1).map(route).collect()
    }

    /// The route for what has no other.
    pub fn default_route(&self) -> Result<Option<Route>> {
        Ok(self.routes()?.into_iter().find(|route| route.mask.is_unspecified()))
    }

    /// The sockets of its network that could change it, or are known to others by a name: netlink
    /// sockets and abstract ones, as `/proc/PID/fd` shows them.
    pub fn sockets_that_matter(&self) -> Result<BTreeSet<String>> {
        let (netlink, unix) = (self.network_file("netlink")?, self.network_file("unix")?);
        let netlink = netlink.lines().filter_map(|line| line.split_whitespace().nth(9));
        let named = unix.lines().filter(|line| line.contains(" @"));
        let named = named.filter_map(|line| line.split_whitespace().nth(6));
        Ok(netlink.chain(named).map(|inode| format!("socket:[{inode}]")).collect())
    }

    fn network_file(&self, name: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.read(&format!("net/{name}"))?).into_owned())
    }
}

/// All of the host's network that a step may change.
#[derive(Debug, PartialEq, Eq)]
pub struct HostNetwork {
    interfaces: BTreeSet<String>,
    addresses: BTreeSet<Ipv4Addr>,
    routes: BTreeSet<Route>,
    tables: BTreeSet<String>,
}

impl HostNetwork {
    /// As it is now.
    pub fn of(trial: &Trial) -> Result<HostNetwork> {
        let host = Process::host(trial.host)?;
        let (interfaces, addresses) = (host.interfaces()?, host.addresses()?);
        Ok(HostNetwork { interfaces, addresses, routes: host.routes()?, tables: nftables()? })
    }
}

/// The interfaces that the kernel puts into every new network namespace.
pub fn interfaces_of_a_new_namespace(trial: &Trial) -> Result<BTreeSet<String>> {
    fork::run(|| {
        unshare(CloneFlags::CLONE_NEWNET).context("unshare the network namespace")?;
        Process::host(trial.host)?.interfaces()
    })
}

/// Makes a bridge in a new network namespace, with which it goes.
pub fn try_to_make_a_bridge() -> nix::Result<()> {
    /// Of `linux/sockios.h`.
    const SIOCBRADDBR: libc::Ioctl = 0x89a0;
    fork::attempt(|| {
        unshare(CloneFlags::CLONE_NEWNET).context("unshare the network namespace")?;
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
        // SAFETY: the name ends with a NUL and outlives the call.
        let made = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCBRADDBR, c"bridge0".as_ptr()) };
        Ok(Errno::result(made).map(drop)?)
    })
}

/// One line of `/proc/net/route`.
fn route(line: &str) -> Result<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = |place: usize| {
        let digits = fields.get(place)?;
        // As the bytes lie in memory, read as a number of this machine.
        Some(Ipv4Addr::from(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes()))
    };
    let route =
        || Some(Route { destination: address(1)?, mask: address(7)?, gateway: address(2)? });
    route().with_context(|| format!("/proc/net/route has the line {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::{Ipv4Addr, route};

    #[test]
    #[cfg(target_endian = "little")]
    fn a_route_is_read() {
        let line = "eth0\t0000D10A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        let route = route(line).unwrap();
        assert_eq!(route.cidr(), "10.209.0.0/24");
        assert!(route.covers(Ipv4Addr::new(10, 209, 0, 7)));
        assert!(!route.covers(Ipv4Addr::new(10, 209, 1, 7)));
    }
}
