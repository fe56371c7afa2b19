//! What a layer says is what is on the disk: types, modes, times, links, whiteouts.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::lgetxattr;

use crate::archive::Archive;
use crate::layout::{Layer, Place};

fn unpacked(place: &Place, archives: &[Archive]) -> Vec<PathBuf> {
    let layers: Vec<Layer> =
        archives.iter().map(|archive| Layer::plain(&archive.clone().end())).collect();
    place.image(&layers);
    place.unpack().unwrap().0.into_iter().map(|layer| layer.path).collect()
}

fn is_opaque(path: &Path) -> bool {
    let marks = ["trusted.overlay.opaque", "user.overlay.opaque"];
    marks.iter().any(|mark| lgetxattr(path, *mark, &mut [0; 8]) == Ok(1))
}

fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_char_device() && it.rdev() == 0)
}

#[test]
fn modes_times_and_links_are_those_of_the_archive() {
    let place = Place::new();
    let archive = Archive::new()
        .directory("d")
        .entry(b'0', "d/f", b"data", |header| header.set_mode(0o2751))
        .hard_link("d/h", "d/f")
        .symlink("d/s", "/etc/passwd")
        .entry(b'6', "d/p", b"", |header| header.set_mode(0o622))
        .pax(&[("mtime", b"-1.5")])
        .file("old", "x")
        .pax(&[("mtime", b"1234567890.123456789")])
        .symlink("exact", "x");
    let tree = &unpacked(&place, &[archive])[0];
    let about = |name: &str| fs::symlink_metadata(tree.join(name)).unwrap();
    assert_eq!(about("d/f").mode() & 0o7777, 0o2751);
    assert_eq!((about("d/f").ino(), about("d/f").nlink()), (about("d/h").ino(), 2));
    assert_eq!(fs::read_link(tree.join("d/s")).unwrap(), Path::new("/etc/passwd"));
    assert!(about("d/p").file_type().is_fifo());
    assert_eq!(about("d/p").mode() & 0o7777, 0o622);
    assert_eq!((about("old").mtime(), about("old").mtime_nsec()), (-2, 500_000_000));
    assert_eq!((about("exact").mtime(), about("exact").mtime_nsec()), (1_234_567_890, 123_456_789));
    // Four entries have been put into it after its own.
    assert_eq!(about("d").mtime(), 1_000_000_000);
    assert_eq!(about("").mode() & 0o7777, 0o755);
}

#[test]
fn long_names_come_from_gnu_and_from_pax() {
    let place = Place::new();
    let part = "n".repeat(120);
    let name = format!("{part}/{part}");
    let archive = Archive::new()
        .long_name(&name)
        .file("short", "gnu")
        .pax(&[("path", format!("{name}2").as_bytes())])
        .file("short", "pax");
    let tree = &unpacked(&place, &[archive])[0];
    assert_eq!(fs::read_to_string(tree.join(&name)).unwrap(), "gnu");
    assert_eq!(fs::read_to_string(tree.join(format!("{name}2"))).unwrap(), "pax");
}

#[test]
fn the_size_of_a_pax_record_counts() {
    let place = Place::new();
    // As for a file of more than 8 GiB, whose header has no room for its size.
    let archive = Archive::new()
        .pax(&[("size", b"600")])
        .entry(b'0', "f", &[b'x'; 600], |header| header.set_size(0))
        .file("after", "found");
    let tree = &unpacked(&place, &[archive])[0];
    assert_eq!(fs::metadata(tree.join("f")).unwrap().len(), 600);
    assert_eq!(fs::read_to_string(tree.join("after")).unwrap(), "found");
}

#[test]
fn a_sparse_file_has_its_holes() {
    let place = Place::new();
    let old = Archive::new().entry(b'S', "s", b"onetwo", |header| {
        header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
        let gnu = header.as_gnu_mut().unwrap();
        gnu.sparse[0].set_offset(0);
        gnu.sparse[0].set_length(3);
        gnu.sparse[1].set_offset(1 << 20);
        gnu.sparse[1].set_length(3);
        gnu.set_real_size(4 << 20);
    });
    let mut data = b"2\n0\n3\n1048576\n3\n".to_vec();
    data.resize(512, 0);
    data.extend(b"onetwo");
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"p"),
        ("GNU.sparse.realsize", b"4194304"),
    ];
    let archive = old.pax(&records).entry(b'0', "GNUSparseFile.0/p", &data, |_| {});
    let tree = &unpacked(&place, &[archive.file("after", "x")])[0];
    for name in ["s", "p"] {
        let content = fs::read(tree.join(name)).unwrap();
        assert_eq!(content.len(), 4 << 20, "{name}");
        assert_eq!((&content[..3], &content[1 << 20..(1 << 20) + 3]), (&b"one"[..], &b"two"[..]));
        assert!(fs::metadata(tree.join(name)).unwrap().blocks() < 100, "{name}");
    }
    assert!(tree.join("after").exists());
}

#[test]
fn an_attribute_may_have_a_newline_in_it() {
    let place = Place::new();
    let archive = Archive::new().pax(&[("SCHILY.xattr.user.note", b"a\nb=c\n")]).file("f", "x");
    let layers = Layer::plain(&archive.end());
    place.image(&[layers]);
    let (layers, notices) = place.unpack().unwrap();
    let mut value = [0; 16];
    match lgetxattr(layers[0].path.join("f"), "user.note", &mut value) {
        Ok(length) => assert_eq!(&value[..length], b"a\nb=c\n"),
        Err(_) => assert_eq!(notices.xattrs, 1, "it is not there, and nobody said so"),
    }
}

#[test]
fn whiteouts_are_those_of_overlayfs() {
    let place = Place::new();
    let archive = Archive::new()
        .file(".wh.gone", "")
        .file("d/.wh.gone", "")
        .directory("o")
        .file("o/.wh..wh..opq", "")
        .file("o/new", "x")
        .file(".wh..wh.plnk/17.4", "")
        .file(".wh..wh.aufs", "");
    let tree = &unpacked(&place, &[archive])[0];
    assert!(is_whiteout(&tree.join("gone")));
    assert!(is_whiteout(&tree.join("d/gone")));
    assert!(is_opaque(&tree.join("o")));
    assert!(!is_opaque(&tree.join("d")));
    let names: Vec<_> =
        fs::read_dir(tree).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_whiteout_hides_nothing_of_its_own_layer() {
    let place = Place::new();
    let archive = Archive::new()
        .file("f", "x")
        .file(".wh.f", "")
        .file(".wh.g", "")
        .file("g", "x")
        .file("d/x", "x")
        .file(".wh.d", "")
        .file(".wh.e", "")
        .file("e/x", "x");
    let tree = &unpacked(&place, &[archive])[0];
    for name in ["f", "g", "d/x", "e/x"] {
        assert_eq!(fs::read_to_string(tree.join(name)).unwrap(), "x", "{name}");
    }
    // And yet what is below is gone.
    assert!(is_opaque(&tree.join("d")) && is_opaque(&tree.join("e")));
}

#[test]
fn an_opaque_root_is_written_down() {
    let place = Place::new();
    place.image(&[Layer::plain(&Archive::new().file(".wh..wh..opq", "").end())]);
    assert!(place.unpack().unwrap().0[0].record.is_opaque);
}

#[test]
fn a_directory_that_is_not_named_is_as_the_one_it_hides() {
    let place = Place::new();
    let below = Archive::new().entry(b'5', "tmp", b"", |header| header.set_mode(0o1777)).entry(
        b'5',
        "tmp/in",
        b"",
        |header| header.set_mode(0o750),
    );
    let trees = unpacked(&place, &[below, Archive::new().file("tmp/in/new/f", "x")]);
    let mode = |name: &str| fs::metadata(trees[1].join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("tmp"), mode("tmp/in"), mode("tmp/in/new")), (0o1777, 0o750, 0o755));
    assert_eq!(fs::metadata(trees[1].join("tmp/in")).unwrap().mtime(), 1_000_000_000);
}
