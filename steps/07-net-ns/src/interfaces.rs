//! Network interfaces, through rtnetlink(7).

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use nix::sys::socket::SockProtocol;

use crate::netlink::Netlink;

/// Brings an interface up, as `ip link set NAME up` does.
pub fn bring_up(name: &str) -> nix::Result<()> {
    let mut link = LinkMessage::default();
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up; // the flags that are meant
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    let netlink = Netlink::open(SockProtocol::NetlinkRoute)?;
    netlink.request(RouteNetlinkMessage::SetLink(link), 0).map(drop)
}
