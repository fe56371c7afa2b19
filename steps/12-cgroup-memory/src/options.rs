//! From a text to a number of bytes.

use anyhow::{Context, bail};
use cgroup_ns::Group;

use crate::limit::{limit_memory, limit_swap};

/// The least that is taken, as Docker does: hardly a program starts with less.
const LEAST: u64 = 6 << 20;

/// The options that this step brings.
#[derive(clap::Args, Debug)]
pub struct MemoryOptions {
    /// How much memory the container gets at most, and no swap: bytes, or with the unit b, k, m or g
    #[arg(long, short, value_name = "SIZE", value_parser = bytes)]
    pub memory: Option<u64>,
}

impl MemoryOptions {
    /// Limits the group as the options say.
    pub fn limit(&self, group: &Group) -> anyhow::Result<()> {
        let Some(memory) = self.memory else { return Ok(()) };
        limit_memory(group, memory)?;
        limit_swap(group, memory, memory)
    }
}

/// A number of bytes that is enough to start with.
fn bytes(text: &str) -> anyhow::Result<u64> {
    let bytes = size(text)?;
    if bytes < LEAST {
        bail!("it is less than 6m");
    }
    Ok(bytes)
}

/// A number of bytes. The units are powers of 1024, in either case.
pub fn size(text: &str) -> anyhow::Result<u64> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        unit => bail!("'{unit}' is no unit: it is b, k, m or g"),
    };
    let number: u64 = digits.parse().context("it is no whole number")?;
    let bytes = number.checked_mul(unit).filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.context("it is more than the kernel can count")
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, due) in [
            ("6291456", 6 << 20),
            ("6291456b", 6 << 20),
            ("8192K", 8 << 20),
            ("32m", 32 << 20),
            ("32M", 32 << 20),
            ("2g", 2 << 30),
        ] {
            assert_eq!(bytes(text).unwrap(), due, "{text}");
        }
    }

    #[test]
    fn what_is_none_or_too_little_or_too_much_is_refused() {
        let wrong = ["", "m", "10", "5m", "6291455", "-32m", "32x", "32mm", "1.5g", "32 m", "m32"];
        let much = ["99999999999g", "17179869184g", "18446744073709551616", "9223372036854775808"];
        for text in wrong.into_iter().chain(much) {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(bytes("9223372036854775807").is_ok());
    }
}
