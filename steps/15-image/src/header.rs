//! The fields of a header: 512 bytes with text in them, mostly.
//!
//! The `tar` crate knows where they are. What numbers and types mean is read here, as Go's
//! archive/tar does it, with which most images are made.

use tar::Header;

use crate::entry::Kind;
use crate::error::Fault;

/// What an entry of this type makes.
pub fn kind(flag: u8, path: &[u8]) -> Result<Kind, Fault> {
    Ok(match flag {
        // The oldest archives know a directory by its slash.
        0 | b'0' if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Character,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(Fault::damaged(format!("type {:?} is unknown", char::from(other)))),
    })
}

/// Major and minor number, which only devices have.
pub fn device(header: &Header, kind: Kind) -> Result<(u32, u32), Fault> {
    let is_device = matches!(kind, Kind::Character | Kind::Block);
    if !is_device || (header.as_ustar().is_none() && header.as_gnu().is_none()) {
        return Ok((0, 0));
    }
    let fields = &header.as_bytes()[329..345];
    Ok((id(number(&fields[..8])?)?, id(number(&fields[8..])?)?))
}

/// The number of a user, a group or a device.
pub fn id(number: u64) -> Result<u32, Fault> {
    // The largest one means "leave it as it is" to chown(2).
    let id = u32::try_from(number).ok().filter(|&id| id != u32::MAX);
    id.ok_or_else(|| Fault::Refused(format!("{number} is the number of no user, group or device")))
}

/// A number in a header's field: octal digits, or GNU's binary form for large ones; 0 if left
/// blank.
pub fn number(field: &[u8]) -> Result<u64, Fault> {
    if field[0] & 0x80 != 0 {
        // Two's complement; the topmost bit only says so. 64 bits are enough for everything.
        let first = if field[0] & 0x40 == 0 { u64::from(field[0] & 0x7f) } else { u64::MAX };
        return Ok(field[1..].iter().fold(first, |sum, &byte| sum << 8 | u64::from(byte)));
    }
    let text = field.split(|&byte| byte == 0).next().unwrap_or_default().trim_ascii();
    text.iter()
        .try_fold(0u64, |sum, &digit| match digit {
            b'0'..=b'7' => sum.checked_mul(8).map(|sum| sum + u64::from(digit - b'0')),
            _ => None,
        })
        .ok_or_else(|| Fault::damaged("a header has something else where a number belongs"))
}

/// The sum that a header must have.
#[must_use]
pub fn checksum(header: &Header) -> u32 {
    let bytes = header.as_bytes();
    // The field itself counts as blanks.
    let sum = bytes[..148].iter().chain(&bytes[156..]).map(|&byte| u32::from(byte)).sum::<u32>();
    sum + 8 * u32::from(b' ')
}

/// Whether this is one of the blocks at the end.
#[must_use]
pub fn is_zero(header: &Header) -> bool {
    header.as_bytes().iter().all(|&byte| byte == 0)
}
