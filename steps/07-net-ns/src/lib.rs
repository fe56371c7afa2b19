//! Step 07: a network of its own.
//!
//! In a network namespace of its own a process has its own interfaces, addresses, routes, ports and
//! abstract sockets (`network_namespaces(7)`). A new one holds nothing but `lo`, and even that is
//! down.
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`rendezvous`] | the child waits until the parent has done its part | socketpair(2) |
//! | [`network`] | which network a container gets, and which part of it is whose work | `network_namespaces(7)` |
//! | [`subnet`] | which addresses belong together | RFC 1918, RFC 4632 |
//! | [`lease`] | who has which address | unix(7), under abstract |
//! | [`cable`] | what connects a container with the bridge, and who makes which end usable | veth(4) |
//! | `bridge` | the bridge, from the first container to the last | bridge(8), veth(4) |
//! | `names` | what bridges and cables are called, and whose they are | |
//! | `masquerade` | how a container reaches what lies beyond the host | nft(8) |
//! | `interfaces`, `routes` | ip(8) in Rust: one function for each of its lines | rtnetlink(7) |
//! | `netlink` | how one talks to the kernel about its network | netlink(7) |

mod bridge;
pub mod cable;
mod interfaces;
pub mod lease;
mod masquerade;
mod names;
mod netlink;
pub mod network;
pub mod rendezvous;
mod routes;
pub mod subnet;

pub use network::{NetOptions, Network, NetworkMode};
pub use rendezvous::{Waiting, spawn_waiting};
