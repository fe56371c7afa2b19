//! Step 02: a mount table of the container's own.
//!
//! With a mount namespace of its own, what the container mounts is seen by nobody else, and it ends
//! together with the container's last process, so there is nothing to clean up. That makes it
//! possible to give the container a `/proc`, a `/sys` and a `/dev`.
//!
//! In the order of reading:
//!
//! | module | is about | witness |
//! |---|---|---|
//! | `propagation` | [`private_mounts`]: the new namespace, cut off from the host's | `mount_namespaces(7)` |
//! | `beneath` | [`open_root`], and paths beneath it that no symbolic link leads out of | openat2(2) |
//! | `options` | mount options, from words to flags | mount(2), mount(8) |
//! | `mounts` | [`mount_all`]: mounts a list of mounts beneath an open root directory | mount(2) |
//! | `defaults` | [`default_mounts`]: the list that makes a root file system a system | proc(5), sysfs(5), tmpfs(5) |
//! | `devices` | [`make_devices`]: what every program expects in `/dev` | mknod(2), null(4), pts(4) |
//! | `umask` | that modes come out as asked for | umask(2) |
//!
//! The list is made of the Open Container Initiative's own type, [`oci_spec::runtime::Mount`], so
//! that a runtime configuration can be mounted by the same function.

mod beneath;
mod defaults;
mod devices;
mod mounts;
mod options;
mod propagation;
mod umask;

pub use beneath::open_root;
pub use defaults::default_mounts;
pub use devices::make_devices;
pub use mounts::{mount_all, path_of};
pub use propagation::private_mounts;
