//! Why the kernel refused to execute a file that is there, in words.
//!
//! One errno has many causes: ENOENT also means that a script's interpreter or a program's loader
//! is missing, EACCES also that the file is a directory. This looks at the file and says which it
//! is.

use std::env::consts::ARCH;
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

const ELF: &[u8] = b"\x7fELF";

/// The whole message: what was tried, on what, the kernel's reason, and the cause where it can be
/// seen.
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
            let interpreter = interpreter(&File::open(path).ok()?)?;
            Some(format!(
                "its interpreter {} is missing",
                OsStr::from_bytes(&interpreter).display()
            ))
        }
        Errno::ENOEXEC => Some(match machine(&start(&File::open(path).ok()?)?) {
            Some(machine) if machine != ARCH => {
                format!("it is built for {machine}, and this machine is {ARCH}")
            }
            Some(_) => "it is a damaged ELF program".into(),
            None => "it is neither an ELF program nor a script that begins with #!".into(),
        }),
        _ => None,
    }
}

/// The processor that an ELF program is for; nothing for any other file.
fn machine(start: &[u8]) -> Option<String> {
    let header: &[u8; 20] = start.first_chunk()?;
    header.starts_with(ELF).then_some(())?;
    let is_big_endian = header[5] == 2;
    let number = [header[18], header[19]];
    let number =
        if is_big_endian { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
    let known = MACHINES.into_iter().find(|&(machine, _)| machine == number);
    Some(known.map_or_else(|| format!("machine {number}"), |(_, name)| name.into()))
}

/// The program that the kernel starts in the place of this one: that of a script's first line, see
/// execve(2), or the dynamic loader in an ELF program's header.
fn interpreter(file: &File) -> Option<Vec<u8>> {
    let start = start(file)?;
    let Some(line) = start.strip_prefix(b"#!") else {
        return loader(file);
    };
    let line = line.trim_ascii_start();
    // Not any white space: with the line ends of another system the name has a carriage return in
    // it.
    let end = line.iter().position(|byte| b" \t\n".contains(byte)).unwrap_or(line.len());
    Some(line[..end].to_vec())
}

/// `PT_INTERP` of a 64-bit program in this machine's byte order, see elf(5).
fn loader(file: &File) -> Option<Vec<u8>> {
    const PT_INTERP: u32 = 3;
    let header = bytes::<64>(file, 0)?;
    header.starts_with(ELF).then_some(())?;
    let table = u64::from_ne_bytes(*header[32..].first_chunk()?);
    let size = u16::from_ne_bytes(*header[54..].first_chunk()?);
    let count = u16::from_ne_bytes(*header[56..].first_chunk()?);
    for index in 0..u64::from(count) {
        let entry = bytes::<56>(file, table.checked_add(index * u64::from(size))?)?;
        if u32::from_ne_bytes(*entry.first_chunk()?) == PT_INTERP {
            let offset = u64::from_ne_bytes(*entry[8..].first_chunk()?);
            let name = bytes::<256>(file, offset)?;
            return Some(name[..name.iter().position(|&byte| byte == 0)?].to_vec());
        }
    }
    None
}

/// As much as the kernel looks at to tell what kind of program it is.
fn start(file: &File) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    file.take(256).read_to_end(&mut start).ok()?;
    Some(start)
}

fn bytes<const LENGTH: usize>(file: &File, offset: u64) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}
