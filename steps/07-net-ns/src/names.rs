//! What the things on the host are called. A name is all that says whose they are, so each can be
//! made out of an address and read back. The kernel allows 15 bytes (`IFNAMSIZ` without its NUL);
//! in hexadecimal digits an address fits.

use std::net::Ipv4Addr;

use crate::interfaces::Mac;
use crate::subnet::Subnet;

/// The name of a subnet's bridge, and of its table of rules.
pub fn bridge(subnet: Subnet) -> String {
    format!("coop{:08x}-{}", subnet.first().to_bits(), subnet.prefix)
}

/// Whether a bridge is one of ours.
pub fn is_bridge(name: &str) -> bool {
    let subnet = || {
        let (first, prefix) = name.strip_prefix("coop")?.split_once('-')?;
        let first = Ipv4Addr::from_bits(u32::from_str_radix(first, 16).ok()?);
        Subnet::new(first, prefix.parse().ok()?)
    };
    subnet().is_some_and(|subnet| bridge(subnet) == name)
}

/// The name of the host's end of a container's cable.
pub fn port(address: Ipv4Addr) -> String {
    format!("veth{:08x}", address.to_bits())
}

/// The container whose cable has this name on the host.
pub fn container_at(name: &str) -> Option<Ipv4Addr> {
    let digits = name.strip_prefix("veth")?;
    u32::from_str_radix(digits, 16).ok().map(Ipv4Addr::from_bits)
}

/// A hardware address that depends on nothing but the IP address, so that what others remember of
/// the container that had it before (arp(7)) is right for the next one too.
pub fn mac(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [0x02, 0xc0, a, b, c, d] // the 2 says that no manufacturer has given it
}

#[cfg(test)]
mod tests {
    use super::{Ipv4Addr, bridge, container_at, is_bridge, port};
    use crate::subnet::DEFAULT;

    #[test]
    fn names_are_short_enough_and_can_be_read_back() {
        assert_eq!(bridge("192.168.100.0/24".parse().unwrap()).len(), 15);
        assert!(is_bridge(&bridge(DEFAULT)));
        let address = Ipv4Addr::new(10, 209, 0, 2);
        assert_eq!(container_at(&port(address)), Some(address));
    }

    #[test]
    fn what_others_have_made_is_not_ours() {
        for name in ["docker0", "br-0ad10000", "coop0ad10000", "coop0ad10001-24", "coopad10000-24"]
        {
            assert!(!is_bridge(name), "{name}");
        }
    }
}
