//! What could not be done as the image says, and was not worth a refusal.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

/// How often something was done otherwise than the layer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notices {
    /// Entries of users whom the caller cannot give a file to: they became his own.
    pub owners: u64,
    /// Of these, programs that would have run as their owner: their set-uid and set-gid bits are
    /// off.
    pub set_ids: u64,
    /// Device nodes, which only root can make: left out.
    pub devices: u64,
    /// Extended attributes that the caller or the file system may not have: left out.
    pub xattrs: u64,
}

impl Notices {
    /// Those of two layers together.
    #[must_use]
    pub fn and(self, other: Notices) -> Notices {
        Notices {
            owners: self.owners + other.owners,
            set_ids: self.set_ids + other.set_ids,
            devices: self.devices + other.devices,
            xattrs: self.xattrs + other.xattrs,
        }
    }
}

impl Display for Notices {
    /// One line, and empty if all was done as the layer says.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let all = [
            (self.owners, "entries of other users are the caller's own here"),
            (self.set_ids, "of their programs lost set-uid and set-gid"),
            (self.devices, "device nodes left out"),
            (self.xattrs, "extended attributes left out"),
        ];
        let said: Vec<String> = all
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        f.write_str(&said.join(", "))
    }
}
