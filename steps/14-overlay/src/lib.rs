//! Step 14: a root made of layers.
//!
//! An overlay shows several directories as one. What is found in an upper one hides what has the
//! same name further down, directories are merged, and whatever changes goes into the uppermost
//! alone: a file from below is copied up first, and what is removed leaves a *whiteout* in its
//! place. So the layers of an image never change, and any number of containers share them.
//!
//! | layer | what is in it |
//! |---|---|
//! | the writable one | what the container changes: thrown away, or kept by `--upper` |
//! | the init layer | `/etc/hostname`, `/etc/hosts`, `/etc/resolv.conf`: this container's, in no image |
//! | `TOP` … `BOTTOM` | the image |
//!
//! In the order of reading:
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`mod@layers`] | `TOP:…:BOTTOM`: which directories, and that they are some | the kernel's `overlayfs.rst` |
//! | [`options`] | `--upper`, and that nobody else uses it | flock(2) |
//! | [`stack`] | [`mount_layers`]: all of them, as one directory | |
//! | `stage` | the file system in memory that ends with the container | tmpfs(5) |
//! | `init_layer` | the files in `/etc` that are the container's | hosts(5), resolv.conf(5) |
//! | `writable` | the directory that takes the changes, and the kernel's workshop beside it | |
//! | `new_mount` | an overlay by the calls of Linux 5.2, a call for each layer | fsconfig(2) |
//! | `old_mount` | an overlay by mount(2), and how 500 layers fit on one page | mount(2) |
//! | `refusal` | why the kernel refuses, in words | |
//! | [`whiteout`] | how a layer says that something is gone | `overlayfs.rst` |
//! | [`mod@diff`] | [`write_layer`]: a writable layer becomes one of an image, a tar archive | the OCI's `layer.md`, pax(1) |

pub mod diff;
mod init_layer;
pub mod layers;
mod new_mount;
mod old_mount;
pub mod options;
mod refusal;
pub mod stack;
mod stage;
pub mod whiteout;
mod writable;

pub use diff::write_layer;
pub use layers::{Layers, layers};
pub use options::OverlayOptions;
pub use stack::mount_layers;
