//! Step 08: users of its own.
//!
//! In a user namespace the same person has another number: the caller, whoever he is outside, is
//! user 0 inside, with every capability over what the namespace owns and none over anything else
//! (`user_namespaces(7)`). All other namespaces are then made *in* it, and root is no longer needed
//! for them: from this step on, any ordinary user runs a container.
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`users`] | [`Users`]: born in the namespace, with ids mapped from outside | `user_namespaces(7)` |
//! | [`ids`] | which ids the caller may map: his own, and those granted to him | subuid(5), newuidmap(1) |
//! | `refusal` | why this host refuses, in words | `user_namespaces(7)`, proc(5) |
//! | `sys` | `/sys` where the network stays the host's | `mount_namespaces(7)` |

pub mod ids;
mod refusal;
mod sys;
pub mod users;

pub use users::{UserOptions, Users};
