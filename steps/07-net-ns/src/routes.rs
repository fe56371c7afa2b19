//! Addresses and routes, through rtnetlink(7): each function is one line of ip(8).

use std::net::Ipv4Addr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::Netlink;
use crate::subnet::Subnet;

/// What a route leads to, and through which interface.
pub struct Route {
    /// The addresses that it is for.
    pub destination: Subnet,
    /// The number of the interface; a route that leads nowhere has none.
    pub interface: Option<u32>,
}

/// `ip address add ADDRESS/PREFIX broadcast + dev INTERFACE`
///
/// With it the kernel makes the route to the subnet by itself.
pub fn add_address(
    netlink: &Netlink,
    interface: u32,
    address: Ipv4Addr,
    subnet: Subnet,
) -> nix::Result<()> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = subnet.prefix;
    message.header.index = interface;
    message.attributes = vec![
        AddressAttribute::Local(address.into()),
        AddressAttribute::Address(address.into()),
        AddressAttribute::Broadcast(subnet.broadcast()),
    ];
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    netlink.request(RouteNetlinkMessage::NewAddress(message), flags).map(drop)
}

/// `ip route add default via GATEWAY`
pub fn add_default_route(netlink: &Netlink, gateway: Ipv4Addr) -> nix::Result<()> {
    let mut route = RouteMessage::default(); // to 0.0.0.0/0
    route.header.address_family = AddressFamily::Inet;
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Boot;
    route.header.kind = RouteType::Unicast;
    route.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway))];
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    netlink.request(RouteNetlinkMessage::NewRoute(route), flags).map(drop)
}

/// `ip -4 route show table all`, without the default routes: those are for what has no other. (So
/// are the two halves, 0.0.0.0/1 and 128.0.0.0/1, into which some VPNs split theirs.)
pub fn routes(netlink: &Netlink) -> nix::Result<Vec<Route>> {
    let mut all = RouteMessage::default();
    all.header.address_family = AddressFamily::Inet;
    let answers = netlink.dump(&RouteNetlinkMessage::GetRoute(all))?;
    let routes = answers.into_iter().filter_map(route);
    Ok(routes.filter(|route| route.destination.prefix > 1).collect())
}

fn route(answer: RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    let (mut first, mut interface) = (None, None);
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => first = Some(address),
            RouteAttribute::Oif(index) => interface = Some(index),
            _ => {}
        }
    }
    let destination = Subnet::new(first?, message.header.destination_prefix_length)?;
    Some(Route { destination, interface })
}
