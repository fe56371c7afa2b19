//! The mounts that every container has. The list is Docker's, without the one for cgroups (step
//! 10).

use oci_spec::runtime::Mount;

/// Destination, type, source (for these just a name, which shows in the mount table), options.
const DEFAULTS: [(&str, &str, &str, &[&str]); 6] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    // In memory, so that no device file is ever written to the root file system.
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    // With newinstance the container's terminals are numbered from 0, and the host's are not to be
    // seen. Docker adds gid=5, Debian's group "tty". In a user namespace (step 08) that id may not
    // exist.
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    ),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    // Shows the host's hardware, and until step 07 its network. Read-only, because it also controls
    // them.
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
];

/// `/proc`, `/dev` with what belongs on it, and `/sys`, in the order in which they have to be
/// mounted.
#[must_use]
pub fn default_mounts() -> Vec<Mount> {
    DEFAULTS
        .into_iter()
        .map(|(destination, kind, source, options)| {
            let mut mount = Mount::default();
            mount
                .set_destination(destination.into())
                .set_typ(Some(kind.into()))
                .set_source(Some(source.into()))
                .set_options(Some(options.iter().copied().map(String::from).collect()));
            mount
        })
        .collect()
}
