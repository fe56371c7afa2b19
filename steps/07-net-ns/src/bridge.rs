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

use crate::interfaces;
use crate::lease::is_taken;
use crate::names::{self, mac};
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
        let (name, gateway) = (names::bridge(self.subnet), self.subnet.gateway());
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
        let own = interfaces::index(netlink, &names::bridge(self.subnet)).ok();
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
        let (name, port) = (names::bridge(self.subnet), names::port(address));
        interfaces::index(netlink, &name)
            .and_then(|bridge| {
                interfaces::make_veth(netlink, (&port, bridge), (inside, mac(address), child))
            })
            .with_context(|| format!("make the veth pair {port} on {name}"))
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
    delete(&names::port(address))?;
    for found in interfaces::bridges(netlink).context("list the bridges")? {
        if !names::is_bridge(&found.name) {
            continue;
        }
        let mut in_use = false;
        for port in interfaces::ports(netlink, found.index).context("list the bridge's ports")? {
            match names::container_at(&port.name) {
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

/// Waits for its turn. The file is the network namespace itself: it is there without anybody having
/// made it, and whoever shares the bridge opens the same one.
fn lock() -> anyhow::Result<Flock<File>> {
    let namespace = File::open("/proc/self/ns/net").context("open /proc/self/ns/net")?;
    Flock::lock(namespace, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .context("flock /proc/self/ns/net")
}
