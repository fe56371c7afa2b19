//! Why the kernel refused to execute a file that is there, in words.
//!
//! One errno has many causes: ENOENT also means that a script's interpreter or a program's loader is
//! missing, EACCES also that the file is a directory. This looks at the file and says which it is.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;

/// The `e_machine` of elf(5), for the processors that one may well meet.
const MACHINES: [(u16, &str); 8] = [
    (3, "x86"),
    (8, "mips"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
];

/// The whole message: what was tried, on what, the kernel's reason, and the cause where it can be seen.
pub fn explain(path: &Path, errno: Errno) -> String {
    let message = format!("exec '{}': {errno}", path.display());
    match cause(path, errno) {
        Some(cause) => format!("{message} ({cause})"),
        None => message,
    }
}

fn cause(path: &Path, errno: Errno) -> Option<String> {
    match errno {
        Errno::EACCES => {
            let metadata = fs::metadata(path).ok()?;
            if metadata.is_dir() {
                Some("it is a directory".into())
            } else if metadata.permissions().mode() & 0o111 == 0 {
                Some("it is not executable: its mode has no x".into())
            } else {
                None
            }
        }
        Errno::ENOENT => {
            let interpreter = interpreter(path)?;
            Some(format!(
                "its interpreter {} is missing",
                OsStr::from_bytes(&interpreter).display()
            ))
        }
        Errno::ENOEXEC => Some(match machine(path)? {
            Some(machine) if machine != env::consts::ARCH => {
                format!("it is built for {machine}, and this machine is {}", env::consts::ARCH)
            }
            Some(_) => "it is a damaged ELF program".into(),
            None => "it is neither an ELF program nor a script that begins with #!".into(),
        }),
        _ => None,
    }
}

/// The program that the kernel starts in the place of this one: that of a script's first line, see
/// execve(2), or the dynamic loader in an ELF program's header.
fn interpreter(path: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path).ok()?.take(256).read_to_end(&mut start).ok()?;
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.trim_ascii_start();
        // Not any white space: with the line ends of another system the name has a carriage return in it.
        let end = line.iter().position(|byte| b" \t\n".contains(byte)).unwrap_or(line.len());
        return Some(line[..end].to_vec());
    }
    loader(path)
}

/// `PT_INTERP` of a 64-bit program of this machine's byte order, see elf(5).
fn loader(path: &Path) -> Option<Vec<u8>> {
    const PT_INTERP: u32 = 3;
    let file = File::open(path).ok()?;
    let header = bytes::<64>(&file, 0)?;
    header.starts_with(b"\x7fELF").then_some(())?;
    let table = u64::from_ne_bytes(*header[32..].first_chunk()?);
    let size = u16::from_ne_bytes(*header[54..].first_chunk()?);
    let count = u16::from_ne_bytes(*header[56..].first_chunk()?);
    for index in 0..u64::from(count) {
        let entry = bytes::<56>(&file, table.checked_add(index * u64::from(size))?)?;
        if u32::from_ne_bytes(*entry.first_chunk()?) == PT_INTERP {
            let offset = u64::from_ne_bytes(*entry[8..].first_chunk()?);
            let length = u64::from_ne_bytes(*entry[32..].first_chunk()?).min(4096);
            let mut name = vec![0; usize::try_from(length).ok()?];
            file.read_exact_at(&mut name, offset).ok()?;
            name.truncate(name.iter().position(|&byte| byte == 0)?);
            return Some(name);
        }
    }
    None
}

/// The processor that an ELF program is for; the inner `None` is any other file.
#[allow(clippy::option_option)]
fn machine(path: &Path) -> Option<Option<String>> {
    let file = File::open(path).ok()?;
    let Some(header) = bytes::<20>(&file, 0).filter(|header| header.starts_with(b"\x7fELF")) else {
        return Some(None);
    };
    let big_endian = header[5] == 2;
    let number = [header[18], header[19]];
    let number = if big_endian { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
    let known = MACHINES.into_iter().find(|&(machine, _)| machine == number);
    Some(Some(known.map_or_else(|| format!("machine {number}"), |(_, name)| name.into())))
}

fn bytes<const LENGTH: usize>(file: &File, offset: u64) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}
