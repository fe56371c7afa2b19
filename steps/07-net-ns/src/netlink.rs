//! Talking to the kernel about its network.
//!
//! netlink(7) is a socket whose other end is the kernel. A message asks for something, and answers
//! come back: what was asked for, and at last an acknowledgement, which holds either 0 or the
//! reason. A socket belongs to the network namespace in which it was made and to the rights of who
//! made it, so none is kept longer than it is needed.

use std::fmt::Debug;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use anyhow::Context;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};

/// As much as the kernel ever puts into one datagram of answers.
const BUFFER: usize = 32 * 1024;

/// A socket to one of the kernel's families: `NETLINK_ROUTE` for interfaces, addresses and routes,
/// `NETLINK_NETFILTER` for the rules of `nf_tables`.
pub struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    /// A socket for interfaces, addresses and routes.
    pub fn route() -> anyhow::Result<Netlink> {
        Netlink::open(SockProtocol::NetlinkRoute).context("open a netlink socket")
    }

    /// A socket that gets news of every interface that changes.
    pub fn news_of_interfaces() -> anyhow::Result<Netlink> {
        let netlink = Netlink::route()?;
        let groups = libc::RTMGRP_LINK.cast_unsigned();
        bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, groups)).context("bind a netlink socket")?;
        Ok(netlink)
    }

    /// A socket to this process's network namespace, and to no other.
    pub fn open(family: SockProtocol) -> nix::Result<Netlink> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, family)?;
        Ok(Netlink { socket })
    }

    /// Sleeps until there are news.
    pub fn wait_for_news(&self) -> nix::Result<()> {
        match recv(self.as_raw_fd(), &mut [0], MsgFlags::empty()) {
            Ok(_) | Err(Errno::ENOBUFS) => Ok(()), // there were more than the kernel keeps
            Err(errno) => Err(errno),
        }
    }

    /// Asks for one thing, and returns what the kernel has to say about it.
    pub fn request(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> nix::Result<Vec<RouteNetlinkMessage>> {
        self.talk(vec![(message, NLM_F_ACK | flags)])
    }

    /// Asks for all things of a kind.
    pub fn dump(&self, message: &RouteNetlinkMessage) -> nix::Result<Vec<RouteNetlinkMessage>> {
        loop {
            match self.talk(vec![(message.clone(), NLM_F_DUMP)]) {
                // Something was made or removed meanwhile, and the list may lack what was there.
                Err(Errno::EINTR) => {}
                answer => return answer,
            }
        }
    }

    /// Sends messages in one datagram, and reads until each that wants it has been acknowledged.
    pub fn talk<T>(&self, messages: Vec<(T, u16)>) -> nix::Result<Vec<T>>
    where
        T: NetlinkSerializable + NetlinkDeserializable + Debug,
    {
        let mut bytes = Vec::new();
        let mut awaited = 0;
        for (message, flags) in messages {
            let mut header = NetlinkHeader::default();
            header.flags = NLM_F_REQUEST | flags;
            let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
            message.finalize();
            let start = bytes.len();
            bytes.resize(start + message.buffer_len(), 0);
            message.serialize(&mut bytes[start..]);
            awaited += usize::from(flags & (NLM_F_ACK | NLM_F_DUMP) != 0);
        }
        send(self.as_raw_fd(), &bytes, MsgFlags::empty())?;
        self.answers(awaited)
    }

    fn answers<T>(&self, mut awaited: usize) -> nix::Result<Vec<T>>
    where
        T: NetlinkDeserializable + Debug,
    {
        let (mut answers, mut interrupted) = (Vec::new(), false);
        let mut buffer = vec![0; BUFFER];
        while awaited > 0 {
            let count = recv(self.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut datagram = &buffer[..count];
            while !datagram.is_empty() {
                // EBADMSG: a newer kernel said something that this library cannot read.
                let message =
                    NetlinkMessage::<T>::deserialize(datagram).map_err(|_| Errno::EBADMSG)?;
                interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                let length = (message.header.length as usize).next_multiple_of(4);
                datagram = &datagram[length.min(datagram.len())..];
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(Errno::from_raw(-error.raw_code()));
                    }
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(Errno::from_raw(-done.code));
                    }
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => awaited -= 1,
                    _ => {}
                }
            }
        }
        if interrupted { Err(Errno::EINTR) } else { Ok(answers) }
    }
}

impl AsRawFd for Netlink {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
