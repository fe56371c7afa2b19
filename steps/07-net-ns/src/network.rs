//! Which network a container gets.

use std::net::Ipv4Addr;

use anyhow::{Context, bail};
use clap::ValueEnum;
use fork_exec::report;
use nix::sched::CloneFlags;
use nix::sys::socket::SockProtocol;
use nix::unistd::Pid;

use crate::bridge::{Bridge, INSIDE};
use crate::lease::Lease;
use crate::netlink::Netlink;
use crate::subnet::{self, Subnet};
use crate::{interfaces, routes};

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct NetOptions {
    /// Which network the container gets
    #[arg(long, value_enum, default_value_t, value_name = "NETWORK")]
    pub network: NetworkMode,
    /// The container's address on the bridge; without it, the first that is free
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<Ipv4Addr>,
    /// The bridge's subnet; without it, 10.209.0.0/24
    #[arg(long, value_name = "CIDR")]
    pub subnet: Option<Subnet>,
}

/// A value of `--network`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum NetworkMode {
    /// Its own, with nothing but a loopback interface
    #[default]
    None,
    /// The host's
    Host,
    /// Its own, connected with the host and other containers by a bridge
    Bridge,
}

/// The network of one container.
pub enum Network {
    /// Its own, with nothing but `lo`.
    None,
    /// The host's.
    Host,
    /// Its own, with `lo` and a cable to a bridge on the host.
    Bridge {
        /// The bridge's subnet.
        subnet: Subnet,
        /// The container's address.
        lease: Lease,
    },
}

/// What connects a container with the host. It is removed when this is dropped.
pub struct Link {
    address: Option<Ipv4Addr>,
}

impl NetOptions {
    /// What the options ask for. Nothing is made yet, but an address is the container's from now on.
    pub fn network(&self) -> anyhow::Result<Network> {
        if self.network != NetworkMode::Bridge && (self.ip.is_some() || self.subnet.is_some()) {
            bail!("--ip and --subnet are for --network bridge: no other has an address to choose");
        }
        Ok(match self.network {
            NetworkMode::None => Network::None,
            NetworkMode::Host => Network::Host,
            NetworkMode::Bridge => {
                let subnet = self.subnet.unwrap_or(subnet::DEFAULT);
                Network::Bridge { subnet, lease: Lease::take(subnet, self.ip)? }
            }
        })
    }
}

impl Network {
    /// The namespaces that the child must be born with.
    #[must_use]
    pub fn flags(&self) -> CloneFlags {
        match self {
            Network::Host => CloneFlags::empty(),
            Network::None | Network::Bridge { .. } => CloneFlags::CLONE_NEWNET,
        }
    }

    /// The parent's part, while the child waits: only somebody with rights on both sides can put a
    /// cable between them.
    pub fn attach(&self, child: Pid) -> anyhow::Result<Link> {
        let Network::Bridge { subnet, lease } = self else { return Ok(Link { address: None }) };
        Bridge::of(*subnet).connect(lease.address, child)?;
        Ok(Link { address: Some(lease.address) })
    }

    /// The child's part, in its own network namespace.
    pub fn configure(&self) -> anyhow::Result<()> {
        if let Network::Host = self {
            return Ok(());
        }
        let netlink = Netlink::open(SockProtocol::NetlinkRoute).context("open a netlink socket")?;
        interfaces::bring_up(&netlink, "lo").context("bring up lo")?;
        let Network::Bridge { subnet, lease } = self else { return Ok(()) };
        lease.leave_it_to_the_parent()?;
        let (address, gateway) = (lease.address, subnet.gateway());
        interfaces::index(&netlink, INSIDE)
            .and_then(|index| routes::add_address(&netlink, index, address, *subnet))
            .with_context(|| format!("give {INSIDE} the address {address}"))?;
        interfaces::bring_up(&netlink, INSIDE).with_context(|| format!("bring up {INSIDE}"))?;
        routes::add_default_route(&netlink, gateway)
            .with_context(|| format!("make the default route through {gateway}"))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.address.map(Bridge::disconnect) {
            report(&error);
        }
    }
}
