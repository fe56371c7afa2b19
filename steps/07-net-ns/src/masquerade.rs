//! Masquerading: to the outside, a container's packets seem to come from the host.
//!
//! Nobody outside knows a way back to the container's address. So the host writes its own address
//! into each packet that leaves it, remembers the connection, and puts the container's into the
//! answers. The rule for it, as nft(8) would show it:
//!
//! ```text
//! table ip BRIDGE {
//!     chain postrouting {
//!         type nat hook postrouting priority 100;
//!         ip saddr SUBNET oifname != "BRIDGE" masquerade
//!     }
//! }
//! ```

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_netfilter::nftables::{
    Bitwise, ChainAttribute, ChainMessage, Cmp, DataAttribute, Expressions, Hook, HookNumber,
    InetHookNumber, Meta, MetaKey, NfTablesMessage, Operator, Payload, Register, RuleAttribute,
    RuleMessage, TableAttribute, TableMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    NetfilterSubsystem,
};
use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use crate::netlink::Netlink;
use crate::subnet::Subnet;

const CHAIN: &str = "postrouting";

/// `NF_IP_PRI_NAT_SRC` in `linux/netfilter_ipv4.h`: where nat has its place among the hooks.
const PRIORITY: u32 = 100;

/// `NFT_PAYLOAD_NETWORK_HEADER`, and where in it the source address stands (RFC 791).
const NETWORK_HEADER: u32 = 1;
const SOURCE_ADDRESS: u32 = 12;

/// Makes the table, unless it is there already.
pub fn add(bridge: &str, subnet: Subnet) -> nix::Result<()> {
    let table = vec![TableAttribute::Name(bridge.to_owned())];
    let chain = vec![
        ChainAttribute::Table(bridge.to_owned()),
        ChainAttribute::Name(CHAIN.to_owned()),
        ChainAttribute::Type("nat".to_owned()),
        ChainAttribute::Hook(vec![
            Hook::Number(HookNumber::Inet(InetHookNumber::PostRouting)),
            Hook::Priority(PRIORITY),
        ]),
    ];
    let rule = vec![
        RuleAttribute::Table(bridge.to_owned()),
        RuleAttribute::Chain(CHAIN.to_owned()),
        RuleAttribute::Expressions(rule(bridge, subnet).into_iter().map(Into::into).collect()),
    ];
    let answer = change(vec![
        (NfTablesMessage::NewTable(TableMessage { attributes: table }), NLM_F_CREATE | NLM_F_EXCL),
        (NfTablesMessage::NewChain(ChainMessage { attributes: chain }), NLM_F_CREATE),
        (NfTablesMessage::NewRule(RuleMessage { attributes: rule }), NLM_F_CREATE | NLM_F_APPEND),
    ]);
    match answer {
        Err(Errno::EEXIST) => Ok(()),
        answer => answer,
    }
}

/// Removes the table, if it is there.
pub fn remove(bridge: &str) -> nix::Result<()> {
    let attributes = vec![TableAttribute::Name(bridge.to_owned())];
    match change(vec![(NfTablesMessage::DeleteTable(TableMessage { attributes }), 0)]) {
        // No such table; or a kernel without nf_tables, which says one of the other two.
        Err(Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT) => Ok(()),
        answer => answer,
    }
}

/// What a packet goes through, from the left to the right; the first comparison that does not hold
/// ends it. Values are put into a register and compared there.
fn rule(bridge: &str, subnet: Subnet) -> [Expressions; 6] {
    let bytes = |value: &[u8]| DataAttribute::Value(value.to_vec());
    let compare = |op: Operator, value: &[u8]| {
        Expressions::Cmp(vec![
            Cmp::SourceRegister(Register::Reg1),
            Cmp::Op(op),
            Cmp::Data(bytes(value)),
        ])
    };
    let mut name = [0; 16]; // IFNAMSIZ in net/if.h
    name[..bridge.len()].copy_from_slice(bridge.as_bytes());
    [
        Expressions::Payload(vec![
            Payload::DestinationRegister(Register::Reg1),
            Payload::Base(NETWORK_HEADER),
            Payload::Offset(SOURCE_ADDRESS),
            Payload::Len(4),
        ]),
        Expressions::Bitwise(vec![
            Bitwise::SourceRegister(Register::Reg1),
            Bitwise::DestinationRegister(Register::Reg1),
            Bitwise::Length(4),
            Bitwise::Mask(bytes(&subnet.mask().octets())),
            Bitwise::Xor(bytes(&[0; 4])),
        ]),
        compare(Operator::Equal, &subnet.first().octets()),
        Expressions::Meta(vec![
            Meta::DestinationRegister(Register::Reg1),
            Meta::Key(MetaKey::Oifname),
        ]),
        compare(Operator::NotEqual, &name),
        Expressions::Other { expression_type: "masq".to_owned(), attributes: Vec::new() },
    ]
}

/// Sends changes as one batch: all of them happen, or none.
fn change(changes: Vec<(NfTablesMessage, u16)>) -> nix::Result<()> {
    let control = |message: ControlMessage| {
        // The subsystem that a batch is for stands in a field that has no other use.
        let nftables = u8::from(NetfilterSubsystem::NfTables).into();
        let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, nftables);
        (NetfilterMessage::new(header, message), 0)
    };
    let change = |(message, flags): (NfTablesMessage, u16)| {
        let header = NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0);
        (NetfilterMessage::new(header, NetfilterMessageInner::from(message)), NLM_F_ACK | flags)
    };
    let mut batch = vec![control(ControlMessage::BatchBegin)];
    batch.extend(changes.into_iter().map(change));
    batch.push(control(ControlMessage::BatchEnd));
    Netlink::open(SockProtocol::NetlinkNetFilter)?.talk(batch).map(drop)
}
