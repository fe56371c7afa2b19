//! The store is whole whatever happens: after a kill, with two at once, with one layer in two
//! images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use image::{Image, Limits, Progress, Reference, Store};

use crate::archive::{Archive, gzip};
use crate::layout::{Layer, Place};

/// How often a run is killed.
const KILLS: u32 = 200;

/// An image of two layers of some hundred files each.
fn image(place: &Place) {
    let layer = |name: &str| {
        let files = (0..400).fold(Archive::new().directory(name), |archive, number| {
            archive.file(&format!("{name}/{number}"), &format!("{number} ").repeat(200))
        });
        let archive = files.end();
        Layer::new(&archive, gzip(&archive))
    };
    place.image(&[layer("a"), layer("b")]);
}

/// The example, which is built with the tests.
fn unpack(place: &Place) -> Command {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().and_then(Path::parent).unwrap();
    let mut command = Command::new(built.join("examples/unpack"));
    command.arg(place.path("image")).arg(place.path("store")).stdout(Stdio::null());
    command
}

/// The trees of all layers that look whole.
fn trees(place: &Place) -> Vec<PathBuf> {
    let layers = fs::read_dir(place.path("store/layers/sha256")).into_iter().flatten();
    layers.map(|layer| layer.unwrap().path().join("diff")).collect()
}

fn assert_whole(place: &Place) {
    for tree in trees(place) {
        let directory = fs::read_dir(&tree).unwrap().next().expect("an empty layer").unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 400, "{}", tree.display());
    }
}

#[test]
fn a_killed_run_leaves_nothing_that_looks_whole() {
    let place = Place::new();
    image(&place);
    let mut unfinished = 0;
    for number in 0..KILLS {
        let mut child = unpack(&place).spawn().unwrap();
        thread::sleep(Duration::from_micros(fastrand::u64(0..60_000)));
        child.kill().unwrap();
        unfinished += u32::from(!child.wait().unwrap().success());
        assert_whole(&place);
        // So that the next one has something to do.
        if number % 2 == 0 {
            let _ = fs::remove_dir_all(place.path("store/layers"));
        }
    }
    assert!(unfinished > KILLS / 10, "only {unfinished} were killed in time");
    assert!(unpack(&place).status().unwrap().success());
    assert_whole(&place);
    assert_eq!(trees(&place).len(), 2);
    let parts = fs::read_dir(place.path("store/parts")).unwrap().count();
    assert_eq!(parts, 0, "abandoned parts are still there");
}

#[test]
fn several_at_once_do_not_hurt_each_other() {
    let place = Place::new();
    image(&place);
    for _ in 0..5 {
        let children: Vec<_> = (0..6).map(|_| unpack(&place).spawn().unwrap()).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_whole(&place);
        assert_eq!(trees(&place).len(), 2);
        fs::remove_dir_all(place.path("store/layers")).unwrap();
    }
    assert_eq!(fs::read_dir(place.path("store/parts")).unwrap().count(), 0);
}

#[test]
fn a_layer_is_unpacked_once_and_progress_says_so() {
    let place = Place::new();
    image(&place);
    let image = Image::open(&Reference::parse(place.path("image").to_str().unwrap())).unwrap();
    let store = Store::open(&place.path("store")).unwrap();
    let said = Mutex::new(Vec::new());
    let run = || {
        store.unpack(&image, &Limits::default(), &|progress| {
            said.lock().unwrap().push(match progress {
                Progress::Shared { .. } => ("shared", 1),
                Progress::Started { size, .. } => ("started", size),
                Progress::Read { bytes, .. } => ("read", bytes),
                Progress::Verified { .. } => ("verified", 1),
            });
        })
    };
    run().unwrap();
    let sum = |what| -> u64 {
        said.lock().unwrap().iter().filter(|(name, _)| *name == what).map(|(_, count)| count).sum()
    };
    assert_eq!(sum("started"), sum("read"), "not everything that was announced was read");
    assert_eq!((sum("verified"), sum("shared")), (2, 0));
    run().unwrap();
    assert_eq!((sum("verified"), sum("shared")), (2, 2));
}
