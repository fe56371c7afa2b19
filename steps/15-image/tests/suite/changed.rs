//! Right archives with a few bytes changed at random: each is unpacked or refused, and nothing else
//! happens. The seed of a failure is in its message.

use image::{ImageError, Limits};

use crate::archive::Archive;
use crate::layout::{Layer, Place};

/// How many archives are tried, unless `COOPERAGE_TRIES` says otherwise.
const TRIES: u64 = 100;

/// Something of everything that is parsed.
fn archive() -> Vec<u8> {
    let records: [(&str, &[u8]); 3] =
        [("path", b"d/pax"), ("mtime", b"1.5"), ("SCHILY.xattr.user.a", b"b\nc")];
    let sparse: [(&str, &[u8]); 2] =
        [("GNU.sparse.map", b"0,4,100,4"), ("GNU.sparse.size", b"200")];
    Archive::new()
        .directory("d")
        .file("d/f", "data")
        .hard_link("d/h", "d/f")
        .symlink("l", "../../outside")
        .pax(&records)
        .file("x", "y")
        .long_name(&"n/".repeat(90))
        .directory("n")
        .pax(&sparse)
        .entry(b'0', "sparse", b"onetwo34", |_| {})
        .file("d/.wh.gone", "")
        .file("d/.wh..wh..opq", "")
        .entry(b'3', "device", b"", |_| {})
        .end()
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

#[test]
fn a_changed_archive_is_unpacked_or_refused() {
    let right = archive();
    let tries = std::env::var("COOPERAGE_TRIES").map_or(TRIES, |tries| tries.parse().unwrap());
    let limits = Limits { entries: 100, bytes: 1 << 20, ratio: 200 };
    let (mut unpacked, mut refused) = (0, 0);
    let first = fastrand::u64(..);
    for seed in (0..tries).map(|number| first.wrapping_add(number)) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut changed = right.clone();
        for _ in 0..random.usize(1..6) {
            // Fields are at the front of a block, and interesting bytes are digits, letters, `.`
            // and `/`.
            let at = random.usize(..changed.len());
            changed[at] = *random.choice(b"0123456789x./\0=LKS\xff ,").unwrap();
        }
        mend(&mut changed);
        let place = Place::new();
        place.image(&[Layer::plain(&changed)]);
        let before = place.surroundings();
        match place.unpack_within(&limits) {
            Ok(_) => unpacked += 1,
            Err(ImageError::Io { tried, source }) => panic!("seed {seed}: {tried}: {source}"),
            Err(_) => {
                refused += 1;
                assert_eq!(place.left_in_store().len(), 0, "seed {seed} leaves something");
            }
        }
        assert_eq!(place.surroundings(), before, "seed {seed} changes something outside");
    }
    assert!(unpacked > 5 && refused > 5, "{unpacked} were unpacked and {refused} refused");
}
