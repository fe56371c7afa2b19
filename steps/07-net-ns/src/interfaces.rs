//! Network interfaces, through rtnetlink(7): each function is one line of ip-link(8).

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State,
};
use nix::errno::Errno;
use nix::unistd::Pid;

use crate::netlink::Netlink;

/// A hardware address.
pub type Mac = [u8; 6];

/// An interface that is there.
pub struct Interface {
    /// Its number, by which the kernel knows it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether packets pass through it: `IF_OPER_UP` of RFC 2863, the `state UP` of ip(8).
    runs: bool,
}

/// `ip link set NAME up`
pub fn bring_up(netlink: &Netlink, name: &str) -> nix::Result<()> {
    netlink.request(RouteNetlinkMessage::SetLink(up(name)), 0).map(drop)
}

/// `ip link add NAME up address MAC type bridge`
pub fn make_bridge(netlink: &Netlink, name: &str, mac: Mac) -> nix::Result<()> {
    let mut bridge = up(name);
    bridge.attributes.push(LinkAttribute::Address(mac.to_vec()));
    bridge.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
    make(netlink, bridge)
}

/// `ip link add NAME up master BRIDGE type veth peer name PEER address MAC netns PID`
///
/// A veth(4) is a pair of interfaces with a cable between them: here one end is plugged into the
/// bridge and the other is born in the network namespace of the process `pid`. They go together.
pub fn make_veth(
    netlink: &Netlink,
    (name, bridge): (&str, u32),
    (peer, mac, pid): (&str, Mac, Pid),
) -> nix::Result<()> {
    let mut inside = named(peer);
    inside.attributes.push(LinkAttribute::Address(mac.to_vec()));
    inside.attributes.push(LinkAttribute::NetNsPid(pid.as_raw().cast_unsigned()));
    let mut outside = up(name);
    outside.attributes.push(LinkAttribute::Controller(bridge)); // the kernel's IFLA_MASTER
    outside.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inside))),
    ]));
    make(netlink, outside)
}

/// `ip link delete NAME`; one that is gone already is no failure.
pub fn delete(netlink: &Netlink, name: &str) -> nix::Result<()> {
    let delete = |_| netlink.request(RouteNetlinkMessage::DelLink(named(name)), 0);
    // Asked for at once, the kernel would look at our rights first, even if there is nothing to do.
    match show(netlink, name).and_then(delete) {
        Err(Errno::ENODEV) => Ok(()),
        answer => answer.map(drop),
    }
}

/// The number of an interface.
pub fn index(netlink: &Netlink, name: &str) -> nix::Result<u32> {
    Ok(show(netlink, name)?.index)
}

/// Waits until packets pass through an interface. `news` must have been opened before whatever
/// brought it up.
pub fn wait_until_it_runs(netlink: &Netlink, news: &Netlink, name: &str) -> nix::Result<()> {
    while !show(netlink, name)?.runs {
        news.wait_for_news()?;
    }
    Ok(())
}

/// `ip link show NAME`
fn show(netlink: &Netlink, name: &str) -> nix::Result<Interface> {
    let found = interfaces(netlink.request(RouteNetlinkMessage::GetLink(named(name)), 0)?);
    found.into_iter().next().ok_or(Errno::ENODEV)
}

/// `ip link show type bridge`
pub fn bridges(netlink: &Netlink) -> nix::Result<Vec<Interface>> {
    dump(netlink, LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]))
}

/// `ip link show master BRIDGE`
pub fn ports(netlink: &Netlink, bridge: u32) -> nix::Result<Vec<Interface>> {
    dump(netlink, LinkAttribute::Controller(bridge))
}

fn dump(netlink: &Netlink, filter: LinkAttribute) -> nix::Result<Vec<Interface>> {
    let mut which = LinkMessage::default();
    which.attributes.push(filter);
    Ok(interfaces(netlink.dump(&RouteNetlinkMessage::GetLink(which))?))
}

fn make(netlink: &Netlink, link: LinkMessage) -> nix::Result<()> {
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    netlink.request(RouteNetlinkMessage::NewLink(link), flags).map(drop)
}

fn named(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

fn up(name: &str) -> LinkMessage {
    let mut link = named(name);
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up; // which of the flags are meant
    link
}

fn interfaces(answers: Vec<RouteNetlinkMessage>) -> Vec<Interface> {
    let interface = |answer| {
        let RouteNetlinkMessage::NewLink(link) = answer else { return None };
        let (mut name, mut runs) = (None, false);
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text),
                LinkAttribute::OperState(state) => runs = state == State::Up,
                _ => {}
            }
        }
        Some(Interface { index: link.header.index, name: name?, runs })
    };
    answers.into_iter().filter_map(interface).collect()
}
