//! The cable between a container and the bridge: a veth(4) pair.
//!
//! Parent and child share the work, and each does what only it can do. The parent has the rights on
//! the host: it makes the pair, one end on the bridge and the other in the child's namespace. The
//! child is the one who is in there: it gives its end an address, brings it up and adds the route.

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use anyhow::Context;
use nix::unistd::{Pid, close};

use crate::bridge::{self, Bridge};
use crate::lease::Lease;
use crate::netlink::Netlink;
use crate::subnet::Subnet;
use crate::{interfaces, routes};

/// The name of the end inside of the container.
const INSIDE: &str = "eth0";

/// One container's cable, from before it is made until it is removed.
pub struct Cable {
    subnet: Subnet,
    lease: Lease,
    /// For the child: a netlink socket speaks of the namespace in which it was made, wherever it is
    /// used. These two will tell the child what the host sees.
    host: Netlink,
    news: Netlink,
}

impl Cable {
    /// Settles which address the container gets. Nothing is made yet.
    pub fn prepare(subnet: Subnet, wanted: Option<Ipv4Addr>) -> anyhow::Result<Cable> {
        let lease = Lease::take(subnet, wanted)?;
        Ok(Cable { subnet, lease, host: Netlink::route()?, news: Netlink::news_of_interfaces()? })
    }

    /// The container's address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.lease.address
    }

    /// The parent's part: makes the bridge if need be, and the cable to the waiting child.
    pub fn connect(&self, child: Pid) -> anyhow::Result<()> {
        Bridge::of(self.subnet).connect(self.address(), INSIDE, child)
    }

    /// The child's part: makes the end in its own namespace usable.
    pub fn configure(&self, netlink: &Netlink) -> anyhow::Result<()> {
        let (address, gateway) = (self.address(), self.subnet.gateway());
        interfaces::index(netlink, INSIDE)
            .and_then(|index| routes::add_address(netlink, index, address, self.subnet))
            .with_context(|| format!("give {INSIDE} the address {address}"))?;
        interfaces::bring_up(netlink, INSIDE).with_context(|| format!("bring up {INSIDE}"))?;
        routes::add_default_route(netlink, gateway)
            .with_context(|| format!("make the default route through {gateway}"))?;
        self.wait_for_the_host()?;
        self.leave_it_to_the_parent().context("close the parent's sockets")
    }

    /// The kernel switches the host's end on in the background, some milliseconds after ours has
    /// come up. What passes before that is lost, and a sender tries again only a second later.
    fn wait_for_the_host(&self) -> anyhow::Result<()> {
        for name in [bridge::port(self.address()), Bridge::of(self.subnet).name()] {
            interfaces::wait_until_it_runs(&self.host, &self.news, &name)
                .with_context(|| format!("wait for the host's {name}"))?;
        }
        Ok(())
    }

    /// The fork has copied the sockets. The lease would outlive the parent, and whatever reaches
    /// into this process later, if it becomes an init, would find a way to the host's network.
    fn leave_it_to_the_parent(&self) -> nix::Result<()> {
        for socket in [self.lease.as_raw_fd(), self.host.as_raw_fd(), self.news.as_raw_fd()] {
            close(socket)?;
        }
        Ok(())
    }
}
