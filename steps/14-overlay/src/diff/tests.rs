use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use rustix::fs::{XattrFlags, lsetxattr};
use tar::{Archive, EntryType};
use tempfile::TempDir;

use super::write_layer;

/// A layer in which `make` has made files.
fn layer(make: impl FnOnce(&Path)) -> TempDir {
    let dir = TempDir::new().unwrap();
    make(dir.path());
    dir
}

fn archive(dir: &TempDir) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_layer(dir.path(), &mut bytes).unwrap();
    bytes
}

/// One entry of an archive, as another program reads it.
struct Entry {
    name: String,
    kind: EntryType,
    mode: u32,
    mtime: u64,
    link: Option<String>,
    device: (Option<u32>, Option<u32>),
    extended: BTreeMap<String, Vec<u8>>,
    data: Vec<u8>,
}

fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut archive = Archive::new(bytes);
    let read = |entry: std::io::Result<tar::Entry<&[u8]>>| {
        let mut entry = entry.unwrap();
        let (mut data, mut extended) = (Vec::new(), BTreeMap::new());
        for pair in entry.pax_extensions().unwrap().into_iter().flatten() {
            let pair = pair.unwrap();
            extended.insert(pair.key().unwrap().to_owned(), pair.value_bytes().to_vec());
        }
        entry.read_to_end(&mut data).unwrap();
        let header = entry.header();
        Entry {
            name: entry.path().unwrap().to_str().unwrap().to_owned(),
            kind: header.entry_type(),
            mode: header.mode().unwrap(),
            mtime: header.mtime().unwrap(),
            link: entry.link_name().unwrap().map(|link| link.to_str().unwrap().to_owned()),
            device: (header.device_major().unwrap(), header.device_minor().unwrap()),
            extended,
            data,
        }
    };
    archive.entries().unwrap().map(read).collect()
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

#[test]
fn names_are_sorted_and_directories_come_before_what_is_in_them() {
    let dir = layer(|top| {
        for name in ["b", "a/z", "a/b/c"] {
            fs::create_dir_all(top.join(name)).unwrap();
        }
        fs::write(top.join("a/m"), "m").unwrap();
        fs::write(top.join("Z"), "").unwrap();
    });
    let bytes = archive(&dir);
    assert_eq!(names(&entries(&bytes)), ["Z", "a/", "a/b/", "a/b/c/", "a/m", "a/z/", "b/"]);
    assert_eq!(bytes, archive(&dir), "twice the same");
}

#[test]
fn content_mode_and_time_are_the_files() {
    let dir = layer(|top| {
        let path = top.join("program");
        fs::write(&path, "content").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o4751)).unwrap();
        let time = UNIX_EPOCH + Duration::new(1_234_567_890, 5);
        File::open(&path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    });
    let [entry] = &entries(&archive(&dir))[..] else { panic!("one entry") };
    assert_eq!((entry.mode, entry.mtime), (0o4751, 1_234_567_890));
    assert_eq!((entry.kind, entry.data.as_slice()), (EntryType::Regular, &b"content"[..]));
}

#[test]
fn what_is_gone_is_an_empty_file_with_a_name_of_its_own() {
    let dir = layer(|top| {
        fs::create_dir(top.join("etc")).unwrap();
        let mode = Mode::from_bits_truncate(0o600);
        mknod(&top.join("etc/motd"), SFlag::S_IFCHR, mode, makedev(0, 0)).unwrap();
    });
    let entries = entries(&archive(&dir));
    assert_eq!(names(&entries), ["etc/", "etc/.wh.motd"]);
    assert_eq!((entries[1].kind, entries[1].data.len()), (EntryType::Regular, 0));
}

#[test]
fn a_directory_that_hides_others_says_so_first() {
    let dir = layer(|top| {
        fs::create_dir_all(top.join("opt/a")).unwrap();
        lsetxattr(top.join("opt"), "user.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
        lsetxattr(top.join("opt/a"), "user.overlay.impure", b"y", XattrFlags::empty()).unwrap();
    });
    let entries = entries(&archive(&dir));
    assert_eq!(names(&entries), ["opt/", "opt/.wh..wh..opq", "opt/a/"]);
    assert!(entries.iter().all(|entry| entry.extended.is_empty()), "the kernel's own stay out");
}

#[test]
fn a_name_that_would_hide_something_is_refused() {
    let dir = layer(|top| fs::write(top.join(".wh.x"), "").unwrap());
    let error = format!("{:#}", write_layer(dir.path(), std::io::sink()).unwrap_err());
    assert!(error.contains(".wh.x: in an image a name"), "{error}");
}

#[test]
fn the_second_name_of_a_file_is_a_link_to_the_first() {
    let dir = layer(|top| {
        fs::write(top.join("one"), "content").unwrap();
        fs::create_dir(top.join("sub")).unwrap();
        fs::hard_link(top.join("one"), top.join("sub/two")).unwrap();
    });
    let entries = entries(&archive(&dir));
    assert_eq!(names(&entries), ["one", "sub/", "sub/two"]);
    assert_eq!((entries[0].kind, entries[2].kind), (EntryType::Regular, EntryType::Link));
    assert_eq!(entries[2].link.as_deref(), Some("one"));
}

#[test]
fn symbolic_links_keep_their_target_whatever_it_is() {
    let targets = ["/etc/passwd", "../../up", "./a//b/", &"long/".repeat(100)];
    let dir = layer(|top| {
        for (name, target) in ["a", "b", "c", "d"].iter().zip(targets) {
            symlink(target, top.join(name)).unwrap();
        }
    });
    let found: Vec<String> =
        entries(&archive(&dir)).into_iter().filter_map(|entry| entry.link).collect();
    assert_eq!(found, targets);
}

#[test]
fn extended_attributes_come_along() {
    let dir = layer(|top| {
        fs::write(top.join("file"), "").unwrap();
        for (name, value) in [("user.b", &b"\0="[..]), ("user.a", b"text")] {
            lsetxattr(top.join("file"), name, value, XattrFlags::empty()).unwrap();
        }
    });
    let entries = entries(&archive(&dir));
    let extended = &entries[0].extended;
    assert_eq!(extended["SCHILY.xattr.user.a"], b"text");
    assert_eq!(extended["SCHILY.xattr.user.b"], b"\0=");
}

#[test]
fn long_names_arrive_whole() {
    let name = format!("{}/{}", ["d".repeat(120), "e".repeat(200)].join("/"), "f".repeat(255));
    let dir = layer(|top| {
        fs::create_dir_all(top.join(&name).parent().unwrap()).unwrap();
        fs::write(top.join(&name), "content").unwrap();
        let mode = Mode::from_bits_truncate(0o600);
        let gone = top.join("d".repeat(120)).join("g".repeat(250));
        mknod(&gone, SFlag::S_IFCHR, mode, makedev(0, 0)).unwrap();
    });
    let entries = entries(&archive(&dir));
    let found = names(&entries);
    assert!(found.contains(&name.as_str()), "{found:?}");
    let gone = format!("{}/.wh.{}", "d".repeat(120), "g".repeat(250));
    assert!(found.contains(&gone.as_str()), "{found:?}");
}

#[test]
fn pipes_are_kept_and_sockets_are_not() {
    let dir = layer(|top| {
        mkfifo(&top.join("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        UnixListener::bind(top.join("socket")).unwrap();
    });
    let entries = entries(&archive(&dir));
    assert_eq!(names(&entries), ["pipe"]);
    assert_eq!(entries[0].kind, EntryType::Fifo);
}

#[test]
fn device_nodes_keep_their_numbers() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("unsupported: device_nodes_keep_their_numbers: only root makes devices");
        return;
    }
    let dir = layer(|top| {
        let mode = Mode::from_bits_truncate(0o600);
        mknod(&top.join("null"), SFlag::S_IFCHR, mode, makedev(1, 3)).unwrap();
        mknod(&top.join("sda1"), SFlag::S_IFBLK, mode, makedev(8, 1)).unwrap();
    });
    let entries = entries(&archive(&dir));
    assert_eq!((entries[0].kind, entries[0].device), (EntryType::Char, (Some(1), Some(3))));
    assert_eq!((entries[1].kind, entries[1].device), (EntryType::Block, (Some(8), Some(1))));
}
