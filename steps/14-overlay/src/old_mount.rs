//! The old mount interface: one call, and all options in one string.
//!
//! mount(2) copies one page of it, 4095 bytes and the end, and what is longer it cuts off *in
//! silence*. Where the cut falls between two layers an overlay comes to be without the lower ones,
//! and without a writable one. Fifty layers at paths of 90 bytes are too long already.
//!
//! But the layers are open, and an open directory has a very short name: its number, seen from
//! `/proc/self/fd`. So 500 of them fit, and no name has a colon or a comma that would have to be
//! escaped.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::MsFlags;
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir};

use crate::stack::Stack;

/// What fits on the page.
const LONGEST: usize = 4095;

/// Mounts the stack on `target`.
pub fn mount(stack: &Stack, target: &Path) -> nix::Result<()> {
    let options = options(stack);
    if options.len() > LONGEST {
        return Err(Errno::E2BIG);
    }
    let here = open(".", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    chdir("/proc/self/fd")?;
    let flags = MsFlags::empty();
    let source = Some(stack.source.as_os_str());
    let mounted = nix::mount::mount(source, target, Some("overlay"), flags, Some(options.as_str()));
    fchdir(&here)?;
    mounted
}

fn options(stack: &Stack) -> String {
    let number = |directory: &OwnedFd| directory.as_raw_fd().to_string();
    let lower: Vec<String> = stack.lower.iter().map(number).collect();
    let mut words = vec![
        format!("lowerdir={}", lower.join(":")),
        format!("upperdir={}", number(&stack.writable.upper)),
        format!("workdir={}", number(&stack.writable.work)),
    ];
    words.extend(stack.options.iter().map(|&(word, value)| match value {
        Some(value) => format!("{word}={value}"),
        None => word.to_owned(),
    }));
    words.join(",")
}
