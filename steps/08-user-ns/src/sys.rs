//! `/sys` in a user namespace.

use net_ns::Network;
use nix::sched::CloneFlags;
use oci_spec::runtime::Mount;

use crate::users::Users;

impl Users {
    /// The mounts of a container with these users and this network, made of `mounts`.
    ///
    /// sysfs(5) shows the interfaces of a network namespace, and only its owner may mount it. Where
    /// the network stays the host's, the host's own `/sys` is shown instead, and all that is mounted
    /// on it: in a user namespace no part of a tree can be had without the rest, since that would
    /// uncover what lies beneath (`mount_namespaces(7)`). All of it becomes read-only: root has the same
    /// number on the host, and would otherwise make control groups there.
    #[must_use]
    pub fn mounts(&self, mut mounts: Vec<Mount>, network: &Network) -> Vec<Mount> {
        let hosts_network = !network.flags().contains(CloneFlags::CLONE_NEWNET);
        if let (Users::Own { .. }, true) = (self, hosts_network) {
            let is_sysfs = |mount: &&mut Mount| mount.typ().as_deref() == Some("sysfs");
            for mount in mounts.iter_mut().filter(is_sysfs) {
                let options = ["rbind", "rro", "nosuid", "noexec", "nodev"];
                mount
                    .set_typ(Some("none".into()))
                    .set_source(Some("/sys".into()))
                    .set_options(Some(options.map(String::from).to_vec()));
            }
        }
        mounts
    }
}
