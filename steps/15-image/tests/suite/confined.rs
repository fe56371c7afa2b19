//! Archives that look hostile, and can be unpacked beneath the layer's root as they are.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use image::Notices;
use rustix::fs::lgetxattr;
use rustix::process::geteuid;

use crate::archive::Archive;
use crate::layout::{Layer, Place};

/// Unpacks an archive; gives its tree, if nothing outside has changed.
fn unpacked(place: &Place, archive: Archive) -> (PathBuf, Notices) {
    place.image(&[Layer::plain(&archive.end())]);
    let before = place.surroundings();
    let (layers, notices) = place.unpack().unwrap();
    assert_eq!(place.surroundings(), before, "something outside has changed");
    (layers[0].path.clone(), notices)
}

#[test]
fn an_absolute_name_is_beneath_the_root() {
    let place = Place::new();
    let name = format!("{}/new", place.outside());
    let archive = Archive::new().pax(&[("path", name.as_bytes())]).file("x", "inside");
    let (tree, _) = unpacked(&place, archive);
    assert_eq!(fs::read_to_string(tree.join(&name[1..])).unwrap(), "inside");
}

#[test]
fn a_file_takes_the_place_of_a_link_and_not_of_its_target() {
    let place = Place::new();
    let victim = format!("{}/victim", place.outside());
    let archive = Archive::new().symlink("l", &victim).hard_link("h", "l").file("l", "new");
    let (tree, _) = unpacked(&place, archive.file("h", "newer"));
    assert_eq!(fs::read_to_string(tree.join("l")).unwrap(), "new");
    assert_eq!(fs::read_to_string(tree.join("h")).unwrap(), "newer");
}

#[test]
fn the_last_of_two_entries_wins() {
    let place = Place::new();
    let archive = Archive::new()
        .file("f", "1")
        .file("f", "2")
        .file("d/f", "in it")
        .file("d", "a file")
        .file("e", "a file")
        .directory("e")
        .file("k/1", "stays")
        .directory("k")
        .file("h/f", "linked")
        .hard_link("h", "h/f")
        .symlink("s", "f")
        .directory("s")
        .file("s/x", "in a directory");
    let (tree, _) = unpacked(&place, archive);
    assert_eq!(fs::read_to_string(tree.join("f")).unwrap(), "2");
    assert_eq!(fs::read_to_string(tree.join("d")).unwrap(), "a file");
    assert!(tree.join("e").is_dir());
    assert_eq!(fs::read_to_string(tree.join("h")).unwrap(), "linked");
    assert_eq!(fs::read_to_string(tree.join("k/1")).unwrap(), "stays");
    assert_eq!(fs::read_to_string(tree.join("s/x")).unwrap(), "in a directory");
}

#[test]
fn attributes_of_overlayfs_are_not_the_images_to_set() {
    let place = Place::new();
    let records: [(&str, &[u8]); 2] = [
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
    ];
    let (tree, notices) = unpacked(&place, Archive::new().pax(&records).directory("d"));
    assert_eq!(notices.xattrs, 2);
    for name in ["trusted.overlay.redirect", "user.overlay.opaque"] {
        assert!(lgetxattr(tree.join("d"), name, &mut [0; 16]).is_err(), "{name} is set");
    }
}

#[test]
fn devices_are_made_as_root_and_left_out_otherwise() {
    let place = Place::new();
    let archive = Archive::new().entry(b'3', "null", b"", |header| {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    });
    let (tree, notices) = unpacked(&place, archive.file("after", "x"));
    if geteuid().is_root() && notices.devices == 0 {
        let about = fs::symlink_metadata(tree.join("null")).unwrap();
        assert!(about.file_type().is_char_device());
        assert_eq!(about.rdev(), rustix::fs::makedev(1, 3));
    } else {
        assert_eq!(notices.devices, 1);
        assert!(!tree.join("null").exists());
    }
    assert!(tree.join("after").exists());
}

#[test]
fn a_user_of_the_images_choice_gets_no_program_of_the_callers() {
    let place = Place::new();
    let archive = Archive::new().entry(b'0', "tool", b"x", |header| {
        header.set_uid(4242);
        header.set_gid(4242);
        header.set_mode(0o4755);
    });
    let (tree, notices) = unpacked(&place, archive);
    let about = fs::metadata(tree.join("tool")).unwrap();
    if notices.owners == 0 {
        assert_eq!((about.uid(), about.mode() & 0o7777), (4242, 0o4755));
    } else {
        assert_eq!((about.uid(), about.mode() & 0o7777), (geteuid().as_raw(), 0o755));
        assert_eq!(notices.set_ids, 1);
    }
}

#[test]
fn the_end_of_time_is_no_trouble() {
    let place = Place::new();
    let archive = Archive::new()
        .pax(&[("mtime", b"9223372036854775807.999999999")])
        .file("last", "x")
        .pax(&[("mtime", b"-9223372036854775808.5")])
        .file("first", "x");
    let (tree, _) = unpacked(&place, archive);
    assert!(tree.join("last").exists() && tree.join("first").exists());
}

#[test]
fn a_tree_two_thousand_directories_deep_is_no_trouble() {
    let place = Place::new();
    let name = "d/".repeat(2000);
    let (tree, _) =
        unpacked(&place, Archive::new().pax(&[("path", name.as_bytes())]).directory("x"));
    assert!(tree.join("d/d/d/d").is_dir());
}

#[test]
fn a_closed_directory_is_filled_and_closed() {
    let place = Place::new();
    let archive = Archive::new()
        .entry(b'5', "closed", b"", |header| header.set_mode(0o500))
        .file("closed/f", "x")
        .entry(b'5', "closed/shut", b"", |header| header.set_mode(0))
        .file("closed/shut/g", "x");
    let (tree, _) = unpacked(&place, archive);
    assert_eq!(fs::metadata(tree.join("closed")).unwrap().mode() & 0o7777, 0o500);
    assert_eq!(fs::metadata(tree.join("closed/shut")).unwrap().mode() & 0o7777, 0);
    assert_eq!(fs::read_to_string(tree.join("closed/f")).unwrap(), "x");
    // So that whoever clears up can do so.
    for name in ["closed", "closed/shut"] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(tree.join(name), open).unwrap();
    }
}
