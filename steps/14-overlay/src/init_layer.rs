//! The files in `/etc` that belong to the container, and to no image.
//!
//! They lie in a layer between the image and the writable one. So they hide the image's own, and
//! what is committed does not have them, unless the container changes them itself. (Docker's init
//! layer has empty files at these names, on which it binds the real ones.)

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat};
use nix::unistd::gethostname;

use crate::stage::make_directory;
use crate::whiteout::is_whiteout;
use crate::writable::take_after;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Makes the layer for a container of this `image`.
pub fn init_layer(stage: &OwnedFd, image: &[OwnedFd]) -> anyhow::Result<OwnedFd> {
    let layer = make_directory(stage, "init").context("make the init layer")?;
    take_after(&layer, &image[0]).context("chown and chmod the init layer")?;
    let images = match etc_of(image)? {
        // A directory would hide what the image has there.
        Etc::SomethingElse => return Ok(layer),
        Etc::Missing => None,
        Etc::Directory(etc) => Some(etc),
    };
    let etc = make_directory(&layer, "etc").context("make /etc in the init layer")?;
    let name = gethostname().context("gethostname")?.to_string_lossy().into_owned();
    for (file, text) in [
        ("hostname", format!("{name}\n").into_bytes()),
        ("hosts", hosts(&name).into_bytes()),
        ("resolv.conf", resolv_conf().with_context(|| format!("read {RESOLV_CONF}"))?),
    ] {
        write(&etc, file, &text).with_context(|| format!("write /etc/{file} in the init layer"))?;
    }
    if let Some(images) = images {
        take_after(&etc, &images).context("chown and chmod /etc in the init layer")?;
    }
    Ok(layer)
}

/// What an image has at `/etc`.
enum Etc {
    Missing,
    Directory(OwnedFd),
    SomethingElse,
}

/// Looks from above: the first layer that has something there decides.
fn etc_of(image: &[OwnedFd]) -> anyhow::Result<Etc> {
    for layer in image {
        let stat = match fstatat(layer, "etc", AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => continue,
            stat => stat.context("stat /etc of a layer")?,
        };
        return Ok(match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFDIR => {
                let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let etc = openat(layer, "etc", flags, Mode::empty());
                Etc::Directory(etc.context("open /etc of a layer")?)
            }
            _ if is_whiteout(stat.st_mode, stat.st_rdev) => Etc::Missing,
            _ => Etc::SomethingElse,
        });
    }
    Ok(Etc::Missing)
}

/// Its own name means the container itself. (On a bridge, Docker writes its address there.)
fn hosts(name: &str) -> String {
    let own = if name == "localhost" { String::new() } else { format!("127.0.0.1\t{name}\n") };
    format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{own}")
}

/// The host's. (A name server on the host's own loopback does not answer in here; Docker writes
/// another one in its place.)
fn resolv_conf() -> io::Result<Vec<u8>> {
    match fs::read(RESOLV_CONF) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        text => text,
    }
}

fn write(etc: &OwnedFd, name: &str, text: &[u8]) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(0o644);
    let file = openat(etc, name, flags, mode)?;
    fchmod(&file, mode)?; // whatever the caller's umask
    File::from(file).write_all(text)
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn the_containers_name_is_the_container() {
        let text = hosts("barrel");
        assert!(text.lines().any(|line| line == "127.0.0.1\tbarrel"), "{text}");
        assert_eq!(hosts("localhost").matches("127.0.0.1").count(), 1);
    }
}
