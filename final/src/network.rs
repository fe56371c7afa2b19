//! The network between the options, the configuration and the kernel.
//!
//! The runtime specification knows whether a container has a network namespace. What connects it with
//! anything it leaves to the engine, so that stands in annotations of ours.

use anyhow::{Context, bail};
use net_ns::network::NetworkMode;
use net_ns::{NetOptions, Network};
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use serde_json::{Value, json};

use crate::container::{annotation, has_own};

/// The network if the container has one of its own that is connected with something: `bridge`.
const NETWORK: &str = "cooper.network";
/// The address on the bridge, if one was asked for.
const IP: &str = "cooper.network.ip";
/// The bridge's subnet, if one was asked for.
const SUBNET: &str = "cooper.network.subnet";

/// Writes into a configuration what the options ask for.
pub fn describe(options: &NetOptions, configuration: &mut Value) -> anyhow::Result<()> {
    if options.network != NetworkMode::Host {
        let namespaces = configuration["linux"]["namespaces"].as_array_mut();
        namespaces.context("the configuration has namespaces")?.push(json!({ "type": "network" }));
    }
    if options.network == NetworkMode::Bridge {
        configuration["annotations"][NETWORK] = "bridge".into();
    }
    if let Some(ip) = options.ip {
        configuration["annotations"][IP] = ip.to_string().into();
    }
    if let Some(subnet) = options.subnet {
        configuration["annotations"][SUBNET] = subnet.to_string().into();
    }
    Ok(())
}

/// The network that a configuration describes.
pub fn network(spec: &Spec) -> anyhow::Result<Network> {
    let connected = annotation(spec, NETWORK);
    let network = match (has_own(spec, LinuxNamespaceType::Network)?, connected) {
        (true, None) => NetworkMode::None,
        (true, Some("bridge")) => NetworkMode::Bridge,
        (true, Some(other)) => bail!("the annotation {NETWORK} is '{other}': not supported"),
        (false, None) => NetworkMode::Host,
        (false, Some(_)) => bail!("the annotation {NETWORK} takes a network namespace"),
    };
    let ip = annotation(spec, IP).map(str::parse).transpose();
    let subnet = annotation(spec, SUBNET).map(str::parse).transpose();
    NetOptions {
        network,
        ip: ip.with_context(|| format!("read the annotation {IP}"))?,
        subnet: subnet.with_context(|| format!("read the annotation {SUBNET}"))?,
    }
    .network()
}
