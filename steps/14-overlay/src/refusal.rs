//! Why the kernel refuses an overlay, in words. Its own go to the kernel's log, which few may read.

use std::path::Path;

use nix::errno::Errno;

use crate::layers::Layers;

/// What was tried, on what, the kernel's reason, and the causes that it can have.
pub fn explain(errno: Errno, layers: &Layers, upper: Option<&Path>) -> anyhow::Error {
    let cause = match errno {
        Errno::ELOOP => Some("one of these directories lies in another"),
        Errno::EINVAL if upper.is_some() => Some(
            "the writable layer cannot lie on NFS, on FAT, or on another overlay; and overlays of \
             overlays end at two",
        ),
        Errno::EINVAL => Some("a layer lies on an overlay that has another one below it already"),
        Errno::EPERM => Some(
            "in a user namespace nothing may be mounted in a layer: an overlay would show what \
             that mount covers",
        ),
        Errno::ESTALE => Some("the writable layer was used with other layers before"),
        Errno::EBUSY => Some("another overlay has the same writable layer"),
        Errno::EROFS => Some("the writable layer lies on a read-only file system"),
        Errno::ENODEV => Some("this kernel has no overlayfs, or root has to: modprobe overlay"),
        Errno::E2BIG => Some("mount(2) takes one page of options"),
        _ => None,
    };
    let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
    let upper =
        upper.map(|upper| format!(" with changes in {}", upper.display())).unwrap_or_default();
    let message = format!("mount an overlay of {layers}{upper}{cause}");
    anyhow::Error::new(errno).context(message)
}
