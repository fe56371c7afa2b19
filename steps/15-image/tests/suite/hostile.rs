//! Archives that must be refused, with nothing outside touched and nothing left in the store.

use image::{ImageError, Limits};
use tar::Header;

use crate::archive::{Archive, gzip, zstd};
use crate::layout::{Layer, Place};

/// With what a case ends.
#[derive(Debug, PartialEq)]
enum End {
    Refused,
    Damaged,
    Limit,
    Digest,
    Size,
}

struct Case {
    what: &'static str,
    layer: Layer,
    end: End,
}

#[test]
fn every_hostile_archive_is_refused_and_leaves_nothing() {
    let limits = Limits { entries: 1000, bytes: 4 << 20, ratio: 200 };
    let place = Place::new();
    let cases = cases(&place.outside());
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    for Case { what, layer, end } in cases {
        let place = Place::new();
        // What is whole below it must not stay either.
        let below = Layer::plain(&Archive::new().file("below", "whole").end());
        place.image(&[below, layer]);
        let before = place.surroundings();
        let error = place.unpack_within(&limits).map(|_| ()).expect_err(what);
        assert_eq!(end_of(&error), end, "{what}: {error}");
        assert!(!error.to_string().contains('\n'), "{what}: {error}");
        assert_eq!(place.surroundings(), before, "{what} has changed something outside");
        assert_eq!(place.left_in_store(), [""; 0].map(std::path::PathBuf::from), "{what}");
    }
}

fn end_of(error: &ImageError) -> End {
    match error {
        ImageError::Refused { .. } => End::Refused,
        ImageError::Damaged { .. } => End::Damaged,
        ImageError::Limit { .. } => End::Limit,
        ImageError::WrongDigest { .. } => End::Digest,
        ImageError::WrongSize { .. } => End::Size,
        other => panic!("{other}"),
    }
}

fn cases(outside: &str) -> Vec<Case> {
    let archives = names(outside).into_iter().chain(links(outside)).chain(headers());
    let archives = archives.map(|(what, end, archive)| {
        let archive = archive.end();
        Case { what, layer: Layer::plain(&archive), end }
    });
    archives.chain(blobs()).collect()
}

type Row = (&'static str, End, Archive);

fn names(outside: &str) -> Vec<Row> {
    let new = Archive::new;
    let long_part = "n".repeat(300);
    let long = "d/".repeat(2100);
    let deep = "d/".repeat(2000);
    vec![
        ("dot-dot", End::Refused, new().file("../outside/new", "x")),
        (
            "dot-dot in the middle",
            End::Refused,
            new().directory("a").file("a/../../outside/n", "x"),
        ),
        ("dot-dot through what is not there", End::Refused, new().file("b/../../outside/n", "x")),
        ("dot-dot as the name", End::Refused, new().directory("a").directory("a/..")),
        ("dot-dot in a PAX path", End::Refused, new().pax(&[("path", b"../new")]).file("x", "x")),
        ("dot-dot in a GNU name", End::Refused, new().long_name("../../new").file("x", "x")),
        ("a directory outside", End::Refused, new().directory("../outside/dir")),
        ("a pipe outside", End::Refused, new().entry(b'6', "../outside/pipe", b"", |_| {})),
        ("whiteout of dot-dot", End::Refused, new().file(".wh...", "")),
        ("whiteout of dot", End::Refused, new().file("a/.wh..", "")),
        ("whiteout of nothing", End::Refused, new().file(".wh.", "")),
        ("whiteout outside", End::Refused, new().file("../outside/.wh.victim", "")),
        ("whiteout through a link", End::Refused, {
            new().symlink("l", outside).file("l/.wh.victim", "")
        }),
        ("opaque through a link", End::Refused, {
            new().symlink("l", outside).file("l/.wh..wh..opq", "")
        }),
        ("an entry in a whiteout", End::Refused, new().file(".wh.a/b", "x")),
        ("a path above 4096 bytes", End::Refused, {
            new().pax(&[("path", long.as_bytes())]).directory("x")
        }),
        ("a GNU name of a megabyte", End::Refused, {
            new().long_name(&"x".repeat(1 << 20)).file("x", "x")
        }),
        ("a part above 255 bytes", End::Refused, {
            new().pax(&[("path", long_part.as_bytes())]).file("x", "x")
        }),
        ("a whiteout above 255 bytes", End::Refused, {
            let name = format!(".wh.{long_part}");
            new().pax(&[("path", name.as_bytes())]).file("x", "")
        }),
        ("a name with a NUL", End::Refused, new().pax(&[("path", b"a\0b")]).file("x", "x")),
        ("two thousand directories deep, then damage", End::Refused, {
            new().pax(&[("path", deep.as_bytes())]).directory("x").file("../out", "x")
        }),
        ("no name", End::Refused, new().file("", "x")),
        ("too many entries", End::Limit, {
            (0..1001).fold(new(), |archive, number| archive.file(&number.to_string(), ""))
        }),
    ]
}

fn links(outside: &str) -> Vec<Row> {
    let new = Archive::new;
    let victim = format!("{outside}/victim");
    vec![
        ("a file through a link", End::Refused, new().symlink("l", outside).file("l/new", "x")),
        ("a file through a relative link", End::Refused, {
            new().symlink("l", "../../../../../../outside").file("l/new", "x")
        }),
        ("a file through a link that stays inside", End::Refused, {
            new().directory("d").symlink("l", "d").file("l/new", "x")
        }),
        ("a directory through a link", End::Refused, {
            new().symlink("l", outside).directory("l/victim")
        }),
        ("a directory that became a link", End::Refused, {
            new().file("d/f", "x").symlink("d", outside).file("d/victim", "x")
        }),
        ("a link of /proc", End::Refused, {
            new().symlink("l", "/proc/self/root").file("l/tmp/cooperage-hostile", "x")
        }),
        ("a file in a file", End::Refused, new().file("f", "x").file("f/g", "x")),
        ("a hard link to a file outside", End::Refused, new().hard_link("h", &victim)),
        ("a hard link to dot-dot", End::Refused, new().hard_link("h", "../outside/victim")),
        ("a hard link through a link", End::Refused, {
            new().symlink("l", outside).hard_link("h", "l/victim")
        }),
        ("a hard link to a directory", End::Refused, new().directory("d").hard_link("h", "d")),
        ("a hard link to the root", End::Refused, new().hard_link("h", "/")),
        ("a hard link to nothing", End::Refused, new().hard_link("h", "nothing")),
        ("a hard link to itself", End::Refused, new().hard_link("h", "h")),
        ("a hard link to a whiteout", End::Refused, new().file(".wh.a", "").hard_link("h", "a")),
        ("a link of 5000 bytes", End::Refused, new().symlink("l", &"x".repeat(5000))),
        ("a root that is a link", End::Refused, new().symlink("./", outside)),
    ]
}

fn headers() -> Vec<Row> {
    let new = Archive::new;
    let many = vec![b'x'; (1 << 20) + 1];
    let sparse = |map: &str, size: &str, data: &[u8]| {
        let records: [(&str, &[u8]); 2] =
            [("GNU.sparse.map", map.as_bytes()), ("GNU.sparse.size", size.as_bytes())];
        new().pax(&records).entry(b'0', "s", data, |_| {})
    };
    let field = |change: fn(&mut Header)| new().entry(b'0', "f", b"x", change);
    vec![
        ("a size that lies", End::Damaged, field(|header| header.set_size(1 << 30))),
        ("a size of 2^63", End::Damaged, field(|header| header.set_size(1 << 63))),
        ("a PAX size that lies", End::Damaged, {
            new().pax(&[("size", b"99999999")]).file("f", "x")
        }),
        (
            "a PAX size that is no number",
            End::Damaged,
            new().pax(&[("size", b"1x")]).file("f", "x"),
        ),
        ("a mode that is no number", End::Damaged, {
            field(|header| header.as_old_mut().mode = *b"zzzzzzz\0")
        }),
        ("user 2^32-1", End::Refused, new().pax(&[("uid", b"4294967295")]).file("f", "x")),
        ("user 2^40", End::Refused, new().pax(&[("uid", b"1099511627776")]).file("f", "x")),
        ("an unknown type", End::Damaged, new().entry(b'M', "f", b"x", |_| {})),
        ("records that do not parse", End::Damaged, {
            new().entry(b'x', "pax", b"99 path=a\n", |_| {}).file("f", "x")
        }),
        ("records of a megabyte", End::Limit, new().entry(b'x', "pax", &many, |_| {})),
        ("a time that is none", End::Damaged, new().pax(&[("mtime", b"now")]).file("f", "x")),
        ("a sparse map that lies", End::Damaged, sparse("0,9,5,1", "20", b"0123456789")),
        (
            "a sparse piece beyond its file",
            End::Damaged,
            sparse("18446744073709551615,1", "9", b"x"),
        ),
        ("a sparse file of exabytes", End::Limit, sparse("0,1", "9000000000000000000", b"x")),
        ("half a sparse map", End::Damaged, sparse("0,1,7", "9", b"x")),
    ]
}

/// What is wrong with the blob, and not with the archive in it.
fn blobs() -> Vec<Case> {
    let archive = Archive::new().file("f", &"content ".repeat(2000)).file("g", "x").end();
    let packed = gzip(&archive);
    let right = Layer::new(&archive, packed.clone());
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut blob = packed.clone();
        change(&mut blob);
        Layer { diff_id: right.diff_id.clone(), ..Layer::new(&[], blob) }
    };
    let bomb = Archive::new().file("zeros", &"\0".repeat(8 << 20)).end();
    let mut checksum = Archive::new().file("f", "x").end();
    checksum[0] = b'g';
    let other = Layer::plain(&Archive::new().file("f", "other").end());
    let case = |what, end, layer| Case { what, layer, end };
    vec![
        case("gzip, cut", End::Damaged, changed(&|blob| blob.truncate(blob.len() / 2))),
        case(
            "gzip, cut in its trailer",
            End::Damaged,
            changed(&|blob| blob.truncate(blob.len() - 3)),
        ),
        case(
            "gzip, one bit over",
            End::Damaged,
            changed(&|blob| {
                // In its checksum: elsewhere a bit may mean nothing.
                let checksum = blob.len() - 8;
                blob[checksum] ^= 4;
            }),
        ),
        case("gzip, garbage after it", End::Damaged, changed(&|blob| blob.extend(b"garbage"))),
        case("zstd, cut", End::Damaged, {
            let mut blob = zstd(&archive);
            blob.truncate(blob.len() - 5);
            Layer::new(&archive, blob)
        }),
        case("plain, cut in a header", End::Damaged, Layer::plain(&archive[..700])),
        case("plain, cut in a file", End::Damaged, Layer::plain(&archive[..2048])),
        case("no archive at all", End::Damaged, Layer::plain(&b"text ".repeat(500))),
        case("empty", End::Digest, Layer { diff_id: right.diff_id.clone(), ..Layer::plain(&[]) }),
        case("a wrong checksum", End::Damaged, Layer::plain(&checksum)),
        case("a gzip bomb", End::Limit, Layer::new(&bomb, gzip(&bomb))),
        case("a zstd bomb", End::Limit, Layer::new(&bomb, zstd(&bomb))),
        case("too large and not packed", End::Limit, Layer::plain(&bomb)),
        case(
            "a wrong digest",
            End::Digest,
            Layer { digest: other.digest.clone(), ..right.clone() },
        ),
        case("a wrong diff id", End::Digest, Layer { diff_id: other.diff_id, ..right.clone() }),
        case("a wrong size", End::Size, Layer { size: right.size + 1, ..right.clone() }),
    ]
}
