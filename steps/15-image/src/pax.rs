//! PAX records: what does not fit into an entry's header of 512 bytes.
//!
//! A record is `LENGTH KEY=VALUE\n`, and LENGTH, in decimal digits, counts the whole of it
//! (pax(1p)). The length decides, not the newline: an extended attribute is binary and may contain
//! one.

use std::str;

use crate::error::Fault;

/// How the keys of extended attributes begin; GNU tar, Go and libarchive all write them like this.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The records before one entry.
#[derive(Default)]
pub struct Pax {
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Pax {
    /// Reads the records out of the data of an extended header.
    pub fn parse(mut data: &[u8]) -> Result<Pax, Fault> {
        let mut records = Vec::new();
        while !data.is_empty() {
            let (record, rest) = split_record(data)
                .ok_or_else(|| Fault::damaged("an extended header does not parse"))?;
            records.push(record);
            data = rest;
        }
        Ok(Pax { records })
    }

    /// The value of `key`. The last one counts, and an empty one takes back what was said before.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let found = self.records.iter().rev().find(|(name, _)| name == key.as_bytes());
        found.map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty())
    }

    /// The value of `key` as a number.
    pub fn number(&self, key: &str) -> Result<Option<u64>, Fault> {
        self.get(key).map(|value| decimal(value, key)).transpose()
    }

    /// The values of two keys that alternate, as GNU tar wrote its first map of a sparse file.
    pub fn pairs(&self, first: &str, second: &str) -> Result<Vec<(u64, u64)>, Fault> {
        let mut pairs = Vec::new();
        let mut open = None;
        for (key, value) in &self.records {
            if key == first.as_bytes() {
                open = Some(decimal(value, first)?);
            } else if key == second.as_bytes() {
                let offset = open.take().ok_or_else(|| Fault::damaged("half of a sparse map"))?;
                pairs.push((offset, decimal(value, second)?));
            }
        }
        Ok(pairs)
    }

    /// Seconds and nanoseconds since 1970, from `123.456` or `-1.5`.
    pub fn time(&self, key: &str) -> Result<Option<(i64, u32)>, Fault> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let damaged = || Fault::damaged(format!("{key} in an extended header is no time"));
        let text = str::from_utf8(value).map_err(|_| damaged())?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().map_err(|_| damaged())?;
        if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(damaged());
        }
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let nanoseconds: u32 = digits.parse().map_err(|_| damaged())?;
        // Half a second before 1970 is -1 and half a second forward.
        if whole.starts_with('-') && nanoseconds > 0 {
            return Ok(Some((seconds.saturating_sub(1), 1_000_000_000 - nanoseconds)));
        }
        Ok(Some((seconds, nanoseconds)))
    }

    /// The extended attributes, names and values.
    #[must_use]
    pub fn into_xattrs(self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let xattrs = self.records.into_iter().filter_map(|(key, value)| {
            let name = key.strip_prefix(XATTR)?.to_vec();
            Some((name, value))
        });
        xattrs.collect()
    }
}

type Record = (Vec<u8>, Vec<u8>);

fn split_record(data: &[u8]) -> Option<(Record, &[u8])> {
    let space = data.iter().take(20).position(|&byte| byte == b' ')?;
    let length: usize = str::from_utf8(&data[..space]).ok()?.parse().ok()?;
    let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some(((record[..equals].to_vec(), record[equals + 1..].to_vec()), &data[length..]))
}

/// A number in decimal digits.
pub fn decimal(value: &[u8], key: &str) -> Result<u64, Fault> {
    let number = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Fault::damaged(format!("{key} is no number")))
}
