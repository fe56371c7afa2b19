//! Which network a container gets.

use anyhow::Context;
use clap::ValueEnum;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

use crate::interfaces::bring_up;

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
            Network::None => bring_up("lo").context("bring up lo"),
        }
    }
}
