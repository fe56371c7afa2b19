//! IPv4 subnets: which addresses belong together, and who gets which.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::str::FromStr;

use anyhow::{Context, bail};

/// A subnet, written `10.209.0.0/24`: all addresses whose first 24 bits are these.
///
/// Its first address (10.209.0.0) names the subnet itself and its last one (10.209.0.255) means
/// everybody in it. The second is the bridge's, and the ones between are for containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    first: Ipv4Addr,
    /// How many of the 32 bits all addresses have in common.
    pub prefix: u8,
}

/// Private (RFC 1918), and none that Docker, Podman, LXC or libvirt take by themselves.
pub const DEFAULT: Subnet = Subnet { first: Ipv4Addr::new(10, 209, 0, 0), prefix: 24 };

impl Subnet {
    /// The subnet that begins at this address, if one of that size can.
    #[must_use]
    pub fn new(first: Ipv4Addr, prefix: u8) -> Option<Subnet> {
        let subnet = Subnet { first, prefix };
        (prefix <= 32 && first.to_bits() & !subnet.bits() == 0).then_some(subnet)
    }

    /// The address that gives the subnet its name.
    #[must_use]
    pub fn first(self) -> Ipv4Addr {
        self.first
    }

    /// The address that means everybody in the subnet.
    #[must_use]
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits() | !self.bits())
    }

    /// The bridge's address, through which a container reaches everything else.
    #[must_use]
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits() + 1)
    }

    /// The mask in front of which all addresses of the subnet are the same: 255.255.255.0.
    #[must_use]
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.bits())
    }

    /// The addresses that containers may have.
    pub fn containers(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.gateway().to_bits() + 1..self.broadcast().to_bits()).map(Ipv4Addr::from_bits)
    }

    /// Whether some address belongs to both.
    #[must_use]
    pub fn overlaps(self, other: Subnet) -> bool {
        let shared = self.bits() & other.bits();
        self.first.to_bits() & shared == other.first.to_bits() & shared
    }

    fn bits(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }
}

impl Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Only what a bridge can have.
impl FromStr for Subnet {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Subnet> {
        let parts = text.split_once('/').and_then(|(address, prefix)| {
            Some((address.parse::<Ipv4Addr>().ok()?, prefix.parse::<u8>().ok()?))
        });
        let (address, prefix) = parts.context("it is not written like 10.209.0.0/24")?;
        if !(8..=30).contains(&prefix) {
            bail!("from /8 to /30 there is room for a bridge and a container");
        }
        if address.octets()[0] == 0 || address.is_loopback() || address.octets()[0] >= 224 {
            bail!("no machine can have an address in it");
        }
        Subnet::new(address, prefix).with_context(|| {
            let whole = Subnet { first: address, prefix };
            let first = Ipv4Addr::from_bits(address.to_bits() & whole.bits());
            format!("{address} lies within {first}/{prefix}; that would be a subnet")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, Ipv4Addr, Subnet};

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn a_subnet_has_a_gateway_and_room_for_containers() {
        let small = subnet("192.168.7.8/29");
        assert_eq!(small.gateway().to_string(), "192.168.7.9");
        assert_eq!(small.broadcast().to_string(), "192.168.7.15");
        let last = |octet| Ipv4Addr::new(192, 168, 7, octet);
        assert_eq!(small.containers().collect::<Vec<_>>(), [10, 11, 12, 13, 14].map(last));
        assert_eq!(DEFAULT.containers().count(), 253);
        assert_eq!(subnet("10.0.0.0/30").containers().count(), 1);
    }

    #[test]
    fn subnets_overlap_when_one_holds_the_other() {
        assert!(DEFAULT.overlaps(subnet("10.0.0.0/8")));
        assert!(subnet("10.0.0.0/8").overlaps(DEFAULT));
        assert!(!DEFAULT.overlaps(subnet("10.209.1.0/24")));
        let host = Subnet::new(Ipv4Addr::new(10, 209, 0, 77), 32).unwrap();
        assert!(DEFAULT.overlaps(host) && !host.overlaps(subnet("10.209.1.0/24")));
    }

    #[test]
    fn what_no_bridge_can_have_is_refused() {
        for text in ["", "10.209.0.0", "10.209.0.0/x", "10.209.0/24", "10.209.0.0/31"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        for text in ["127.0.0.0/8", "224.0.0.0/8", "0.0.0.0/8", "10.0.0.0/4"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        let reason = "10.209.3.4/16".parse::<Subnet>().unwrap_err().to_string();
        assert!(reason.contains("10.209.0.0/16"), "{reason}");
    }
}
