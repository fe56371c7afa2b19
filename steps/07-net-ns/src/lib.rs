//! Step 07: a network of its own.
//!
//! In a network namespace of its own a process has its own interfaces, addresses, routes, ports and
//! abstract sockets (`network_namespaces(7)`). A new one holds nothing but `lo`, and even that is
//! down.
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`rendezvous`] | the child waits until the parent has done its part | socketpair(2) |
//! | [`network`] | which network a container gets | `network_namespaces(7)` |
//! | `interfaces` | network interfaces, made and changed | rtnetlink(7), veth(4) |
//! | `netlink` | how one talks to the kernel about its network | netlink(7) |

mod interfaces;
mod netlink;
pub mod network;
pub mod rendezvous;

pub use network::{NetOptions, Network};
pub use rendezvous::{Waiting, spawn_waiting};
