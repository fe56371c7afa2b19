//! Mount options: the words of mount(8) and of the OCI configuration, as flags of mount(2).

use nix::mount::MsFlags;

/// What a list of options asks for, in the order in which the kernel wants to be asked.
#[derive(Debug, PartialEq, Eq)]
pub struct MountOptions {
    /// Properties of the mount, such as `nosuid`.
    pub flags: MsFlags,
    /// Whether every mount of the tree is to be read-only, and not only the one at its top.
    pub read_only_tree: bool,
    /// One flag for each change of propagation, such as `rprivate`; each takes a call of its own.
    pub propagation: Vec<MsFlags>,
    /// What is left is for the file system itself, such as `size=64m`.
    pub data: String,
}

/// Words that set a flag.
const SET: [(&str, MsFlags); 15] = [
    ("ro", MsFlags::MS_RDONLY),
    ("nosuid", MsFlags::MS_NOSUID),
    ("nodev", MsFlags::MS_NODEV),
    ("noexec", MsFlags::MS_NOEXEC),
    ("sync", MsFlags::MS_SYNCHRONOUS),
    ("dirsync", MsFlags::MS_DIRSYNC),
    ("mand", MsFlags::MS_MANDLOCK),
    ("noatime", MsFlags::MS_NOATIME),
    ("nodiratime", MsFlags::MS_NODIRATIME),
    ("relatime", MsFlags::MS_RELATIME),
    ("strictatime", MsFlags::MS_STRICTATIME),
    ("iversion", MsFlags::MS_I_VERSION),
    ("remount", MsFlags::MS_REMOUNT),
    ("bind", MsFlags::MS_BIND),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC)),
];

/// Words that take one back: the last word counts.
const CLEAR: [(&str, MsFlags); 12] = [
    ("rw", MsFlags::MS_RDONLY),
    ("suid", MsFlags::MS_NOSUID),
    ("dev", MsFlags::MS_NODEV),
    ("exec", MsFlags::MS_NOEXEC),
    ("async", MsFlags::MS_SYNCHRONOUS),
    ("nomand", MsFlags::MS_MANDLOCK),
    ("atime", MsFlags::MS_NOATIME),
    ("diratime", MsFlags::MS_NODIRATIME),
    ("norelatime", MsFlags::MS_RELATIME),
    ("nostrictatime", MsFlags::MS_STRICTATIME),
    ("noiversion", MsFlags::MS_I_VERSION),
    ("defaults", MsFlags::empty()),
];

/// Words that change how mounts propagate, see `mount_namespaces(7)`.
const PROPAGATION: [(&str, MsFlags); 8] = [
    ("private", MsFlags::MS_PRIVATE),
    ("slave", MsFlags::MS_SLAVE),
    ("shared", MsFlags::MS_SHARED),
    ("unbindable", MsFlags::MS_UNBINDABLE),
    ("rprivate", MsFlags::MS_PRIVATE.union(MsFlags::MS_REC)),
    ("rslave", MsFlags::MS_SLAVE.union(MsFlags::MS_REC)),
    ("rshared", MsFlags::MS_SHARED.union(MsFlags::MS_REC)),
    ("runbindable", MsFlags::MS_UNBINDABLE.union(MsFlags::MS_REC)),
];

impl MountOptions {
    /// Sorts the words; one that is in none of the tables is the file system's.
    pub fn parse(words: &[String]) -> MountOptions {
        let mut options = MountOptions {
            flags: MsFlags::empty(),
            read_only_tree: false,
            propagation: Vec::new(),
            data: String::new(),
        };
        let mut data = Vec::new();
        for word in words {
            if let Some(flag) = find(&SET, word) {
                options.flags.insert(flag);
            } else if let Some(flag) = find(&CLEAR, word) {
                options.flags.remove(flag);
            } else if let Some(flag) = find(&PROPAGATION, word) {
                options.propagation.push(flag);
            } else if word == "rro" {
                options.read_only_tree = true;
            } else {
                data.push(word.as_str());
            }
        }
        options.data = data.join(",");
        options
    }
}

fn find(table: &[(&str, MsFlags)], word: &str) -> Option<MsFlags> {
    table.iter().find(|(name, _)| *name == word).map(|(_, flag)| *flag)
}

#[cfg(test)]
mod tests {
    use super::{MountOptions, MsFlags};

    fn parse(words: &str) -> MountOptions {
        MountOptions::parse(&words.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn words_become_flags_and_the_rest_is_data() {
        let options = parse("nosuid ro mode=755 rslave size=64m");
        assert!(!options.read_only_tree && parse("rbind rro").read_only_tree);
        assert_eq!(options.flags, MsFlags::MS_NOSUID | MsFlags::MS_RDONLY);
        assert_eq!(options.propagation, [MsFlags::MS_SLAVE | MsFlags::MS_REC]);
        assert_eq!(options.data, "mode=755,size=64m");
    }

    #[test]
    fn the_last_word_counts() {
        assert_eq!(parse("ro rw").flags, MsFlags::empty());
        assert_eq!(parse("rw ro").flags, MsFlags::MS_RDONLY);
    }
}
