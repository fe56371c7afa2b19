//! Step 15: the root file system out of an image.
//!
//! An image is a few JSON documents and a row of tar archives, its *layers*. The documents name
//! each other and the layers by digest, so that nothing can be exchanged on the way. Each layer is
//! unpacked into a directory of its own, once, whichever images have it; step 14 lays them over
//! each other.
//!
//! Images come from strangers. What they ask for is done beneath the root of their layer or not at
//! all, and up to a limit; what is damaged leaves nothing behind.
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`reference`](mod@reference) | `PATH[:TAG]` | |
//! | [`source`], [`contents`] | the files of an image, in a directory or in an archive | |
//! | [`image`] | [`Image`]: what was found, put together | the OCI image specification |
//! | [`layout`], [`docker`] | the two formats in which one finds it | image-layout.md; docker-save(1) |
//! | [`platform`] | which one is for this machine | image-index.md |
//! | [`digest`], [`compression`] | what the bytes are called, and how they are packed | descriptor.md |
//! | [`stream`], [`entries`], [`header`], [`pax`], [`sparse`] | reading a tar archive | tar(5), pax(1p) |
//! | [`entry`](mod@entry) | what comes out: a name, and what is to be there | |
//! | [`flow`], [`inflate`] | a layer on its way: inflated, hashed and unpacked at once | |
//! | [`beneath`], [`tree`] | names, resolved by the kernel beneath a root | openat2(2) |
//! | [`extract`], [`make`], [`attributes`], [`whiteout`] | an entry at its place | overlayfs.rst, layer.md |
//! | [`unpack`], [`workers`] | one layer, and all of them | |
//! | [`inherit`] | directories that a layer does not name | |
//! | [`part`], [`store`] | [`Store`]: what is whole, and what is not yet | flock(2), rename(2) |
//! | [`options`], [`stored`], [`remapped`] | where the store is, and who may write to it | |
//! | [`names`], [`remove`] | what images are called, and how they go | |
//! | [`nodev`] | devices of an image are none | `mount_setattr(2)` |
//! | [`error`], [`limits`], [`notices`], [`progress`], [`terminal`] | what a caller may want to know | |

pub mod attributes;
pub mod beneath;
pub mod compression;
pub mod contents;
pub mod digest;
pub mod docker;
pub mod entries;
pub mod entry;
pub mod error;
pub mod extract;
pub mod flow;
pub mod header;
pub mod image;
pub mod inflate;
pub mod inherit;
pub mod layout;
pub mod limits;
pub mod make;
pub mod names;
pub mod nodev;
pub mod notices;
pub mod options;
pub mod part;
pub mod pax;
pub mod platform;
pub mod progress;
pub mod reference;
pub mod remapped;
pub mod remove;
pub mod source;
pub mod sparse;
pub mod store;
pub mod stored;
pub mod stream;
pub mod terminal;
pub mod tree;
pub mod unpack;
pub mod whiteout;
pub mod workers;

pub use error::ImageError;
pub use image::Image;
pub use limits::Limits;
pub use nodev::forbid_devices;
pub use notices::Notices;
pub use options::{ImageOptions, StoreOptions};
pub use progress::Progress;
pub use reference::{Reference, reference};
pub use remapped::among;
pub use remove::Removed;
pub use store::{Store, StoredLayer};
pub use stored::StoredImage;
