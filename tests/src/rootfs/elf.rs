//! What a program needs before it can run, as its ELF headers tell (elf(5)).
//!
//! `ldd` would answer too, but it *runs* the program's loader to ask it; a file can simply be
//! read. Only the one form that this machine executes is understood: 64 bits, little-endian.

use std::fs;
use std::io;
use std::path::Path;

/// The machine number of this architecture in an ELF header.
const MACHINE: u16 = if cfg!(target_arch = "aarch64") { libc::EM_AARCH64 } else { libc::EM_X86_64 };

// The entries of the dynamic section that matter here; elf(5) lists them all.
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// A program or library, reduced to what it asks of its loader.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// The loader that the kernel starts in the program's stead; none in a static program.
    pub interpreter: Option<String>,
    /// The names of the libraries to load.
    pub needed: Vec<String>,
    /// Directories to search for them first, separated by colons.
    pub run_path: Option<String>,
}

impl Elf {
    /// Reads `path`; `None` if it is not an ELF file, or not one for this machine.
    pub fn read(path: &Path) -> io::Result<Option<Elf>> {
        Ok(parse(&fs::read(path)?))
    }
}

/// A piece of the file that is to be memory: its type, place in memory, and contents.
struct Segment<'a> {
    kind: u32,
    address: u64,
    bytes: &'a [u8],
}

fn parse(file: &[u8]) -> Option<Elf> {
    if !file.starts_with(b"\x7fELF\x02\x01") || u16_at(file, 18)? != MACHINE {
        return None;
    }
    let segments = segments(file)?;
    let mut elf = Elf::default();
    if let Some(interp) = segments.iter().find(|s| s.kind == libc::PT_INTERP) {
        elf.interpreter = Some(string_at(interp.bytes, 0)?);
    }
    let Some(dynamic) = segments.iter().find(|s| s.kind == libc::PT_DYNAMIC) else {
        return Some(elf);
    };
    let entries: Vec<(u64, u64)> = (dynamic.bytes.chunks_exact(16))
        .map(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?)))
        .collect::<Option<_>>()?;
    let value = |tag| (entries.iter().find(|entry| entry.0 == tag)).map(|entry| entry.1);

    // The names lie in a table of strings, whose place is given as an address in memory.
    let Some(table) = value(DT_STRTAB) else {
        return Some(elf);
    };
    let (load, start) = segments
        .iter()
        .filter(|s| s.kind == libc::PT_LOAD && s.address <= table)
        .map(|s| (s, table - s.address))
        .find(|(s, start)| *start < s.bytes.len() as u64)?;
    let string = |offset: u64| string_at(load.bytes, start.checked_add(offset)?);

    // DT_RPATH is the older of the two, and ignored where both are present (ld.so(8)).
    elf.run_path = (value(DT_RUNPATH).or_else(|| value(DT_RPATH))).and_then(string);
    elf.needed = (entries.iter().filter(|entry| entry.0 == DT_NEEDED))
        .map(|entry| string(entry.1))
        .collect::<Option<_>>()?;
    Some(elf)
}

/// The program header table: `e_phoff`, `e_phentsize` and `e_phnum` say where it lies.
fn segments(file: &[u8]) -> Option<Vec<Segment<'_>>> {
    let (offset, size) = (usize_at(file, 32)?, usize::from(u16_at(file, 54)?));
    (0..usize::from(u16_at(file, 56)?))
        .map(|index| {
            let header = file.get(offset.checked_add(index * size)?..)?;
            let (start, length) = (usize_at(header, 8)?, usize_at(header, 32)?);
            Some(Segment {
                kind: u32_at(header, 0)?,
                address: u64_at(header, 16)?,
                bytes: file.get(start..start.checked_add(length)?)?,
            })
        })
        .collect()
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn usize_at(bytes: &[u8], offset: usize) -> Option<usize> {
    u64_at(bytes, offset)?.try_into().ok()
}

/// The string that begins at `offset` and ends before the next NUL.
fn string_at(bytes: &[u8], offset: u64) -> Option<String> {
    let rest = bytes.get(usize::try_from(offset).ok()?..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Elf, parse};

    #[test]
    fn a_program_names_its_loader_and_libc() {
        let this = Elf::read(Path::new("/proc/self/exe")).unwrap().unwrap();
        if cfg!(target_feature = "crt-static") {
            return assert_eq!(this, Elf::default());
        }
        assert!(this.interpreter.unwrap().contains("/ld-"));
        assert!(this.needed.iter().any(|name| name.starts_with("libc.")));
    }

    #[test]
    fn other_files_are_no_elf() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"#!/bin/sh\n"), None);
        assert_eq!(parse(b"\x7fELF\x02\x01"), None);
    }

    #[test]
    fn a_damaged_file_is_refused_and_never_panics() {
        let whole = fs::read("/proc/self/exe").unwrap();
        for length in (0..whole.len()).step_by(whole.len() / 100) {
            let _ = parse(&whole[..length]);
        }
        for place in 0..4096 {
            let mut damaged = whole[..whole.len().min(65536)].to_vec();
            damaged[place] ^= 0xff;
            let _ = parse(&damaged);
        }
    }
}
