//! The readers, tried with what a seed makes: right archives and documents, and the same with
//! changes.
//!
//! `cargo test` tries a few hundred of each. With `COOPERAGE_FUZZ_SECONDS=3600` each of the three
//! goes on for an hour (CONTRIBUTING.md). A seed makes the same bytes everywhere, so the corpus is
//! a list of seeds: those in `seeds.txt` are tried first, always, and a failure ends with the seed
//! that belongs there.

mod documents;
mod entries;
mod whole;

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// The corpus: a target and a seed in each line, and what it once found.
const SEEDS: &str = include_str!("fuzz/seeds.txt");

/// Says which seed it was, if the test fails with it.
struct Seed(&'static str, u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("add this to tests/suite/fuzz/seeds.txt: {} {}", self.0, self.1);
        }
    }
}

/// Tries `target` with the seeds that are kept, and then with new ones, `tries` of them or for as
/// long as `COOPERAGE_FUZZ_SECONDS` says.
fn try_seeds(target: &'static str, tries: u64, try_one: impl Fn(&mut Rng)) {
    let try_seed = |seed| {
        let _named = Seed(target, seed);
        try_one(&mut Rng::with_seed(seed));
    };
    let lines =
        SEEDS.lines().filter_map(|line| line.strip_prefix(target)?.split_whitespace().next());
    lines.for_each(|seed| try_seed(seed.parse().unwrap()));
    let seconds = env::var("COOPERAGE_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap());
    let (start, first) = (Instant::now(), fastrand::u64(..));
    let mut count = 0;
    while seconds.map_or(count < tries, |most| start.elapsed() < Duration::from_secs(most)) {
        try_seed(first.wrapping_add(count));
        count += 1;
    }
    println!("{target}: {count} seeds from {first} on");
}

/// Changes a few bytes. What decides in an archive are digits, letters, `.`, `/` and the ends of
/// ranges.
fn change(bytes: &mut Vec<u8>, random: &mut Rng) {
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..bytes.len().max(1));
        match random.u8(..8) {
            0 => bytes.truncate(at),
            1 => {
                let piece = bytes[at..bytes.len().min(at + random.usize(1..600))].to_vec();
                let to = random.usize(..=bytes.len());
                bytes.splice(to..to, piece);
            }
            2 if at < bytes.len() => bytes[at] = random.u8(..),
            3 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            _ if at < bytes.len() => {
                bytes[at] = *random.choice(b"0179x./\0=LKSgx \xff\x80,\n").unwrap();
            }
            _ => {}
        }
    }
}

/// Makes the checksums right again, so that what is changed is looked at.
fn mend(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            let mut header = tar::Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}
