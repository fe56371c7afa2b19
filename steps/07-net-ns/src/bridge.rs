//! A bridge on the host, and a cable from it into each container.
//!
//! There is no daemon that would look after it. Each step that wants the bridge makes it if it is
//! not there, and each that leaves removes it if nobody is left. What must not happen twice at the
//! same time happens under a lock; and whoever comes next removes what a killed step left.

use std::fs::{self, File};
use std::net::Ipv4Addr;

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Pid;

use crate::interfaces::{self, Mac};
use crate::lease::is_taken;
use crate::netlink::Netlink;
use crate::subnet::Subnet;
use crate::{masquerade, routes};

/// Where the kernel says whether the host passes packets on.
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// The bridge of one subnet.
#[derive(Clone, Copy)]
pub struct Bridge {
    subnet: Subnet,
}

impl Bridge {
    /// The bridge for this subnet, whether it is there or not.
    pub fn of(subnet: Subnet) -> Bridge {
        Bridge { subnet }
    }

    /// Makes the cable of the container with this address. Its other end gets the name `inside`, in
    /// the network namespace of the process `child`. If that fails, nothing is left of it.
    pub fn connect(self, address: Ipv4Addr, inside: &str, child: Pid) -> anyhow::Result<()> {
        let _lock = lock()?;
        let netlink = Netlink::route()?;
        clear(&netlink, address)?;
        let plugged =
            self.make(&netlink).and_then(|()| self.plug_in(&netlink, address, inside, child));
        if plugged.is_err() {
            // Whatever this says, the first failure says more.
            let _ = clear(&netlink, address);
        }
        plugged
    }

    /// Takes the container with this address off the bridge; the last one takes the bridge along.
    pub fn disconnect(address: Ipv4Addr) -> anyhow::Result<()> {
        let _lock = lock()?;
        clear(&Netlink::route()?, address)
    }

    fn make(self, netlink: &Netlink) -> anyhow::Result<()> {
        let (name, gateway) = (self.name(), self.subnet.gateway());
        self.refuse_collisions(netlink)?;
        match interfaces::make_bridge(netlink, &name, mac(gateway)) {
            Ok(()) => interfaces::index(netlink, &name)
                .and_then(|index| routes::add_address(netlink, index, gateway, self.subnet))
                .with_context(|| format!("give {name} the address {gateway}"))?,
            // With a container on it, or it would be gone by now. So it is complete.
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(explain(&name, errno)),
        }
        let forwards = fs::read_to_string(IP_FORWARD).with_context(|| format!("read {IP_FORWARD}"));
        if forwards?.trim() == "1" {
            masquerade::add(&name, self.subnet)
                .with_context(|| format!("make the table {name} of nf_tables"))?;
        }
        Ok(())
    }

    /// A second way to the same addresses would lead some of the host's own packets astray.
    fn refuse_collisions(self, netlink: &Netlink) -> anyhow::Result<()> {
        let own = interfaces::index(netlink, &self.name()).ok();
        for route in routes::routes(netlink).context("list the routes")? {
            let others = route.interface.is_none() || route.interface != own;
            if others && route.destination.overlaps(self.subnet) {
                let (subnet, taken) = (self.subnet, route.destination);
                bail!("the subnet {subnet} collides with the host's route to {taken} (--subnet?)");
            }
        }
        Ok(())
    }

    fn plug_in(
        self,
        netlink: &Netlink,
        address: Ipv4Addr,
        inside: &str,
        child: Pid,
    ) -> anyhow::Result<()> {
        let (name, port) = (self.name(), port(address));
        interfaces::index(netlink, &name)
            .and_then(|bridge| {
                interfaces::make_veth(netlink, (&port, bridge), (inside, mac(address), child))
            })
            .with_context(|| format!("make the veth pair {port} on {name}"))
    }

    /// The subnet in hexadecimal digits, so that it fits: 15 bytes, `IFNAMSIZ` without its NUL.
    pub fn name(self) -> String {
        format!("coop{:08x}-{}", self.subnet.first().to_bits(), self.subnet.prefix)
    }

    /// The bridge of this name, if it is one of ours.
    fn named(name: &str) -> Option<Bridge> {
        let (first, prefix) = name.strip_prefix("coop")?.split_once('-')?;
        let first = Ipv4Addr::from_bits(u32::from_str_radix(first, 16).ok()?);
        let bridge = Bridge::of(Subnet::new(first, prefix.parse().ok()?)?);
        (bridge.name() == name).then_some(bridge)
    }
}

fn explain(bridge: &str, errno: Errno) -> anyhow::Error {
    let remedy = match errno {
        Errno::EPERM => " (it changes the host's network, which takes CAP_NET_ADMIN there)",
        Errno::EOPNOTSUPP => " (this kernel has no bridges: CONFIG_BRIDGE)",
        _ => "",
    };
    anyhow::Error::new(errno).context(format!("make the bridge {bridge}{remedy}"))
}

/// Removes the cable of the container with this address, those of steps that no longer run, and
/// bridges to which nothing is connected any more.
fn clear(netlink: &Netlink, address: Ipv4Addr) -> anyhow::Result<()> {
    let delete = |name: &str| {
        interfaces::delete(netlink, name).with_context(|| format!("remove the interface {name}"))
    };
    delete(&port(address))?;
    for found in interfaces::bridges(netlink).context("list the bridges")? {
        if Bridge::named(&found.name).is_none() {
            continue;
        }
        let mut in_use = false;
        for port in interfaces::ports(netlink, found.index).context("list the bridge's ports")? {
            match container_at(&port.name) {
                Some(address) if !is_taken(address)? => delete(&port.name)?,
                _ => in_use = true,
            }
        }
        if !in_use {
            masquerade::remove(&found.name)
                .with_context(|| format!("remove the table {} of nf_tables", found.name))?;
            delete(&found.name)?;
        }
    }
    Ok(())
}

/// The name of the host's end of a container's cable.
pub fn port(address: Ipv4Addr) -> String {
    format!("veth{:08x}", address.to_bits())
}

/// The container whose cable has this name on the host.
fn container_at(name: &str) -> Option<Ipv4Addr> {
    let digits = name.strip_prefix("veth")?;
    u32::from_str_radix(digits, 16).ok().map(Ipv4Addr::from_bits)
}

/// A hardware address that depends on nothing but the IP address, so that what others remember of
/// the container that had it before (arp(7)) is right for the next one too.
fn mac(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [0x02, 0xc0, a, b, c, d] // the 2 says that no manufacturer has given it
}

/// Waits for its turn. The file is the network namespace itself: it is there without anybody having
/// made it, and whoever shares the bridge opens the same one.
fn lock() -> anyhow::Result<Flock<File>> {
    let namespace = File::open("/proc/self/ns/net").context("open /proc/self/ns/net")?;
    Flock::lock(namespace, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .context("flock /proc/self/ns/net")
}

#[cfg(test)]
mod tests {
    use super::{Bridge, Ipv4Addr, container_at, port};
    use crate::subnet::DEFAULT;

    #[test]
    fn names_are_short_enough_and_can_be_read_back() {
        let longest = Bridge::of("192.168.100.0/24".parse().unwrap());
        assert_eq!(longest.name().len(), 15);
        let named = Bridge::named(&Bridge::of(DEFAULT).name()).unwrap();
        assert_eq!(named.subnet, DEFAULT);
        let address = Ipv4Addr::new(10, 209, 0, 2);
        assert_eq!(container_at(&port(address)), Some(address));
    }

    #[test]
    fn what_others_have_made_is_not_ours() {
        for name in ["docker0", "br-0ad10000", "coop0ad10000", "coop0ad10001-24", "coopad10000-24"]
        {
            assert!(Bridge::named(name).is_none(), "{name}");
        }
    }
}
