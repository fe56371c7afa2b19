//! Where images are kept.

use std::env;
use std::path::PathBuf;

use anyhow::bail;
use nix::unistd::geteuid;
use user_ns::Users;

use crate::limits::Limits;
use crate::store::Store;

/// The options that this step brings.
#[derive(clap::Args, Clone, Debug)]
pub struct ImageOptions {
    /// Where images are.
    #[command(flatten)]
    pub store: StoreOptions,
    /// How much they may ask for.
    #[command(flatten)]
    pub limits: Limits,
}

/// Where images are, for whoever unpacks none.
#[derive(clap::Args, Clone, Debug)]
pub struct StoreOptions {
    /// The directory in which images are kept [default: /var/lib/cooperage, and for others than
    /// root cooperage in their data directory]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// Below a store of root, the one in which everything belongs to users of containers.
const REMAPPED: &str = "userns";

impl StoreOptions {
    /// Opens the store for containers with these users.
    ///
    /// What is unpacked among other users has other owners, and other attributes for overlayfs. So
    /// root, who has both kinds of containers, has two stores, as Docker has with `userns-remap`.
    /// Others have only one kind.
    pub fn open(&self, users: &Users) -> anyhow::Result<Store> {
        let mut root = match &self.store {
            Some(root) => root.clone(),
            None => default_root()?,
        };
        if geteuid().is_root() && matches!(users, Users::Own { .. }) {
            // Below a directory that is nobody's but root's.
            Store::open(&root)?;
            root.push(REMAPPED);
        }
        Ok(Store::open(&root)?)
    }
}

/// `/var/lib/cooperage`, or what the XDG Base Directory Specification says.
fn default_root() -> anyhow::Result<PathBuf> {
    if geteuid().is_root() {
        return Ok("/var/lib/cooperage".into());
    }
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    match data {
        Some(data) => Ok(data.join("cooperage")),
        None => {
            bail!("find a place for images: neither XDG_DATA_HOME nor HOME is set (use --store)")
        }
    }
}
