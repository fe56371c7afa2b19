//! The tables of `nf_tables` that the host has, for which there is no file in `/proc`.

use std::collections::BTreeSet;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

// Of linux/netlink.h, linux/netfilter/nfnetlink.h and linux/netfilter/nf_tables.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NFT_MSG_GETTABLE: u16 = 10 << 8 | 1;
const NFTA_TABLE_NAME: u16 = 1;
/// `struct nlmsghdr` and the `struct nfgenmsg` behind it, in bytes.
const HEADERS: usize = 16 + 4;

/// Their names. A kernel without `nf_tables` has none.
pub fn nftables() -> Result<BTreeSet<String>> {
    let (kind, flags) = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
    let family = SockProtocol::NetlinkNetFilter;
    let Ok(socket) = socket(AddressFamily::Netlink, kind, flags, family) else {
        return Ok(BTreeSet::new());
    };
    let mut request = [0; HEADERS];
    request[..4].copy_from_slice(&u32::try_from(HEADERS)?.to_ne_bytes());
    request[4..6].copy_from_slice(&NFT_MSG_GETTABLE.to_ne_bytes());
    request[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
    send(socket.as_raw_fd(), &request, MsgFlags::empty()).context("ask for the tables")?;
    let (mut names, mut buffer) = (BTreeSet::new(), vec![0; 1 << 15]);
    loop {
        let count = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())
            .context("read the answer of nf_tables")?;
        let mut rest = &buffer[..count];
        while rest.len() >= 16 {
            let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            match u16::from_ne_bytes([rest[4], rest[5]]) {
                NLMSG_ERROR | NLMSG_DONE => return Ok(names),
                _ => names.extend(name(rest.get(HEADERS..length).unwrap_or_default())),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        if count == 0 {
            bail!("nf_tables ended its answer in the middle");
        }
    }
}

/// The name among the attributes of a table: each is its length, its type, and a value.
fn name(mut attributes: &[u8]) -> Option<String> {
    while let [a, b, c, d, ..] = attributes {
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        if u16::from_ne_bytes([*c, *d]) == NFTA_TABLE_NAME {
            let text = attributes.get(4..length)?.strip_suffix(b"\0")?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}
