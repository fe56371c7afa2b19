//! The walk over an archive: headers, long names, PAX records, maps of sparse files.

use fastrand::Rng;
use image::entries::Entries;
use image::entry::{Entry, Kind};
use image::error::Fault;
use image::limits::Limits;
use image::stream::Stream;

use super::{change, mend, try_seeds};
use crate::archive::Archive;

/// Bytes that come in pieces of all sizes.
struct Pieces<'a> {
    bytes: &'a [u8],
    most: usize,
}

impl Stream for Pieces<'_> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        Ok(&self.bytes[..self.bytes.len().min(self.most)])
    }

    fn consume(&mut self, count: usize) {
        self.bytes = &self.bytes[count..];
    }
}

/// What an entry was made of.
#[derive(Debug, PartialEq)]
pub struct Made {
    kind: Kind,
    path: Vec<u8>,
    target: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    mtime: i64,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    data: Vec<u8>,
}

const KINDS: [(u8, Kind); 7] = [
    (b'0', Kind::File),
    (b'1', Kind::HardLink),
    (b'2', Kind::Symlink),
    (b'3', Kind::Character),
    (b'4', Kind::Block),
    (b'5', Kind::Directory),
    (b'6', Kind::Fifo),
];

/// A name of a few parts, which some entries have in common.
fn name(random: &mut Rng) -> String {
    let parts: Vec<String> = (0..random.usize(1..4))
        .map(|_| match random.u8(..12) {
            0 => "n".repeat(random.usize(1..200)),
            1 => format!(".wh.{}", random.alphabetic()),
            2 => ".wh..wh..opq".to_owned(),
            3 => "..".to_owned(),
            4 => "ü\n".to_owned(),
            _ => random.choice(["a", "b", "c"]).unwrap().to_string(),
        })
        .collect();
    parts.join("/")
}

/// An archive as some tool could write it, and what is in it.
pub fn archive(random: &mut Rng) -> (Vec<u8>, Vec<Made>) {
    let (mut archive, mut made) = (Archive::new(), Vec::new());
    for _ in 0..random.usize(..8) {
        let one = entry(random);
        archive = add(archive, &one, random);
        made.push(one);
    }
    (archive.end(), made)
}

fn entry(random: &mut Rng) -> Made {
    let kind = random.choice(KINDS).unwrap().1;
    let is_link = matches!(kind, Kind::HardLink | Kind::Symlink);
    let data = if kind == Kind::File { random.usize(..1500) } else { 0 };
    let with_xattr = random.u8(..4) == 0;
    let xattr = |random: &mut Rng| {
        let value = (0..random.usize(..9)).map(|_| random.u8(..)).collect();
        (b"user.word".to_vec(), value)
    };
    Made {
        kind,
        path: name(random).into_bytes(),
        target: if is_link { name(random).into_bytes() } else { Vec::new() },
        mode: random.u32(..0o10000),
        owner: (random.u32(..70_000), random.u32(..70_000)),
        mtime: random.i64(0..1 << 33),
        xattrs: if with_xattr { vec![xattr(random)] } else { Vec::new() },
        data: (0..data).map(|_| random.u8(..)).collect(),
    }
}

fn add(mut archive: Archive, made: &Made, random: &mut Rng) -> Archive {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (path, target) = (text(&made.path), text(&made.target));
    let mut records: Vec<(&str, &[u8])> = Vec::new();
    let is_long = path.len() > 100 || random.bool();
    if is_long && random.bool() {
        archive = archive.long_name(&path);
    } else if is_long {
        records.push(("path", path.as_bytes()));
    }
    if target.len() > 100 {
        records.push(("linkpath", target.as_bytes()));
    }
    for (_, value) in &made.xattrs {
        records.push(("SCHILY.xattr.user.word", value));
    }
    if !records.is_empty() {
        archive = archive.pax(&records);
    }
    let flag = KINDS.iter().find(|(_, kind)| *kind == made.kind).unwrap().0;
    let short = if is_long { "short" } else { &path };
    archive.entry(flag, short, &made.data, |header| {
        header.set_mode(made.mode);
        header.set_uid(made.owner.0.into());
        header.set_gid(made.owner.1.into());
        header.set_mtime(made.mtime.unsigned_abs());
        if target.len() <= 100 {
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        }
    })
}

/// Something of everything that is parsed.
pub fn of_everything() -> Vec<u8> {
    let records: [(&str, &[u8]); 3] =
        [("path", b"d/pax"), ("mtime", b"1.5"), ("SCHILY.xattr.user.a", b"b\nc")];
    let sparse: [(&str, &[u8]); 2] =
        [("GNU.sparse.map", b"0,4,100,4"), ("GNU.sparse.size", b"200")];
    let newer: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"newer"),
        ("GNU.sparse.realsize", b"200"),
    ];
    let mut map = b"2\n0\n4\n100\n4\n".to_vec();
    map.resize(512, 0);
    map.extend_from_slice(b"onetwo34");
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
        .pax(&newer)
        .entry(b'0', "GNUSparseFile.0/newer", &map, |_| {})
        .file("d/.wh.gone", "")
        .file("d/.wh..wh..opq", "")
        .entry(b'3', "device", b"", |_| {})
        .end()
}

/// Reads a whole archive.
fn read(bytes: &[u8], most: usize) -> Result<Vec<(Entry, Vec<u8>)>, Fault> {
    let mut entries = Entries::new(Pieces { bytes, most });
    let mut all = Vec::new();
    while let Some(entry) = entries.next_entry()? {
        assert!(all.len() <= bytes.len() / 512, "more entries than there are headers");
        // A name that is longer comes from a PAX header; nobody uses it before it was checked.
        if entry.check_names().is_ok() {
            assert!(entry.path.len().max(entry.target.len()) <= Limits::PATH);
        }
        let mut data = Vec::new();
        // Not all of it, sometimes: the rest is passed over.
        let wanted = if most.is_multiple_of(2) { entry.data } else { entry.data / 2 };
        entries.copy(wanted, |piece| {
            data.extend_from_slice(piece);
            Ok(())
        })?;
        all.push((entry, data));
    }
    Ok(all)
}

#[test]
fn entries_are_read_as_they_were_written() {
    try_seeds("written", 300, |random| {
        let (bytes, made) = archive(random);
        let read = read(&bytes, 2 * random.usize(1..400)).expect("a right archive is read");
        let read: Vec<Made> = read
            .into_iter()
            .map(|(entry, data)| Made {
                kind: entry.kind,
                path: entry.path,
                target: entry.target,
                mode: entry.mode,
                owner: (entry.uid, entry.gid),
                mtime: entry.mtime.0,
                xattrs: entry.xattrs,
                data,
            })
            .collect();
        assert_eq!(read, made);
    });
}

#[test]
fn entries_that_are_changed_are_read_or_refused() {
    try_seeds("entries", 2000, |random| {
        let mut bytes = if random.bool() { archive(random).0 } else { of_everything() };
        change(&mut bytes, random);
        if random.u8(..4) > 0 {
            mend(&mut bytes);
        }
        let most = random.usize(1..2000);
        // However the pieces fall, it is the same archive.
        let same = |one: &Result<Vec<(Entry, Vec<u8>)>, Fault>| format!("{one:?}");
        let once = read(&bytes, most);
        let again = read(&bytes, most + 2);
        assert_eq!(same(&once), same(&again));
    });
}
