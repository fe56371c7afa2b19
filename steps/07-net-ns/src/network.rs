//! Which network a container gets.

use std::net::Ipv4Addr;

use anyhow::{Context, bail};
use clap::ValueEnum;
use fork_exec::report;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

use crate::bridge::Bridge;
use crate::cable::Cable;
use crate::interfaces;
use crate::netlink::Netlink;
use crate::subnet::{self, Subnet};

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
    Bridge(Cable),
}

/// What connects a container with the host. It is removed when this is dropped.
pub struct Link {
    address: Option<Ipv4Addr>,
}

impl NetOptions {
    /// What the options ask for. Nothing is made yet, but the container has its address by now.
    pub fn network(&self) -> anyhow::Result<Network> {
        if self.network != NetworkMode::Bridge && (self.ip.is_some() || self.subnet.is_some()) {
            bail!("--ip and --subnet are for --network bridge: no other has an address to choose");
        }
        Ok(match self.network {
            NetworkMode::None => Network::None,
            NetworkMode::Host => Network::Host,
            NetworkMode::Bridge => {
                let subnet = self.subnet.unwrap_or(subnet::DEFAULT);
                Network::Bridge(Cable::prepare(subnet, self.ip)?)
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
            Network::None | Network::Bridge(_) => CloneFlags::CLONE_NEWNET,
        }
    }

    /// The parent's part, while the child waits: only somebody with rights on both sides can put a
    /// cable between them.
    pub fn attach(&self, child: Pid) -> anyhow::Result<Link> {
        let Network::Bridge(cable) = self else { return Ok(Link { address: None }) };
        cable.connect(child)?;
        Ok(Link { address: Some(cable.address()) })
    }

    /// The child's part, in its own network namespace.
    pub fn configure(&self) -> anyhow::Result<()> {
        if let Network::Host = self {
            return Ok(());
        }
        let netlink = Netlink::route()?;
        interfaces::bring_up(&netlink, "lo").context("bring up lo")?;
        match self {
            Network::Bridge(cable) => cable.configure(&netlink),
            _ => Ok(()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.address.map(Bridge::disconnect) {
            report(&error);
        }
    }
}
