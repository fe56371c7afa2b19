//! Bad input of every kind gives one line, the status of the contract, and nothing left behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::binaries::{WORKSHOP, beside_others, can_judge, clone, reference, say_unsupported};
use crate::reference::STEPS;

/// Root file systems, most of them none.
struct Roots {
    dir: TempDir,
}

impl Roots {
    fn new() -> Roots {
        let dir = TempDir::new().expect("a temporary directory");
        let place = |name: &str| dir.path().join(name);
        for name in ["empty", "good/bin/directory", "foreign/bin"] {
            fs::create_dir_all(place(name)).expect("mkdir");
        }
        fs::write(place("file"), "no directory\n").expect("write");
        write(&place("good/bin/not-executable"), 0o644, b"#!/bin/sh\n");
        write(&place("good/bin/no-interpreter"), 0o755, b"#!/no/such/interpreter\n");
        // The head of a program for AVR (elf(5)), which runs no Linux.
        let mut head = vec![0; 64];
        head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        (head[16], head[18], head[20]) = (2, 83, 1);
        write(&place("foreign/bin/sh"), 0o755, &head);
        Roots { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a step is given: the directory itself, or from step 15 on an image of what is in it.
    fn given(&self, step: &str, name: &str) -> PathBuf {
        let place = self.path(name);
        if !takes_image(step) || !place.is_dir() {
            return place;
        }
        let image = self.path(&format!("{name}.image"));
        let layer = image.with_extension("tar");
        let packed = Command::new("sh")
            .args(["-ec", r#"tar --owner=0 --group=0 -cf "$1" -C "$2" . && exec "$0" "$3" "$1""#])
            .args([clone().join("book/images/pack"), layer, place, image.clone()])
            .status();
        assert!(packed.expect("sh runs").success(), "pack {name}");
        image
    }
}

fn write(path: &Path, mode: u32, bytes: &[u8]) {
    fs::write(path, bytes).expect("write");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

/// Name of the root file system, the command in it, and the statuses that the contract allows.
const CASES: [(&str, &str, &[i32]); 9] = [
    ("missing", "/bin/sh", &[125]),
    ("file", "/bin/sh", &[125]),
    ("good/bin/no-interpreter/below-a-file", "/bin/sh", &[125]),
    ("empty", "/bin/sh", &[127]),
    ("foreign", "/bin/sh", &[126]),
    ("good", "/bin/missing", &[127]),
    ("good", "/bin/directory", &[126]),
    ("good", "/bin/not-executable", &[126]),
    ("good", "/bin/no-interpreter", &[126, 127]),
];

#[test]
fn every_bad_root_and_command_has_its_line_and_status() {
    let _guard = beside_others();
    if !can_judge("every_bad_root_and_command_has_its_line_and_status") {
        return;
    }
    let roots = Roots::new();
    let steps = STEPS[1..].iter().map(|step| vec![*step]);
    for words in steps.chain([vec!["cooper", "run"]]) {
        for (name, command, due) in CASES {
            let place = roots.given(words[0], name);
            let takes_store = takes_image(words[0]) || words[0] == "cooper";
            let store = takes_store.then(|| [Path::new("--store").into(), roots.path("store")]);
            let output = Command::new(WORKSHOP)
                .args(["sandbox", "--share"])
                .arg(roots.dir.path())
                .arg(reference(words[0]))
                .args(&words[1..])
                .args(store.into_iter().flatten())
                .args([&place, Path::new(command)])
                .env("RUST_BACKTRACE", "1")
                .output()
                .expect("workshop runs");
            let place = place.display().to_string();
            // That nothing can be found in an empty directory may be said of either.
            let named = match (due, name) {
                ([125], _) => vec![place.as_str()],
                (_, "empty") => vec![&place, command],
                _ => vec![command],
            };
            one_line_says(&format!("{words:?} {name} {command}"), &output, due, &named);
        }
    }
}

#[test]
fn a_step_that_needs_root_says_so_to_an_ordinary_user() {
    let roots = Roots::new();
    for step in STEPS[1..].iter().filter(|step| needs_root(step)) {
        let output = by_an_ordinary_user(&roots, step, &[]);
        one_line_says(step, &output, &[125], &["EPERM"]);
    }
}

#[test]
fn a_later_step_runs_for_an_ordinary_user() {
    let name = "a_later_step_runs_for_an_ordinary_user";
    let roots = Roots::new();
    // He may not make these where the root file system is another's.
    for mount_point in ["proc", "sys", "dev"] {
        fs::create_dir(roots.path("good").join(mount_point)).expect("mkdir");
    }
    let steps = STEPS.iter().filter(|step| !needs_root(step)).map(|step| (*step, &[][..]));
    for (program, words) in steps.chain([("cooper", &["run"][..])]) {
        let output = by_an_ordinary_user(&roots, program, words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(125) && stderr.contains("user namespace") {
            return say_unsupported(name, stderr.trim());
        }
        // It has come as far as the exec.
        one_line_says(program, &output, &[127], &["/bin/missing"]);
    }
}

/// Whether it is a step that takes an image.
fn takes_image(name: &str) -> bool {
    STEPS.contains(&name) && name >= "15"
}

/// Until step 08 brings a user namespace.
fn needs_root(step: &str) -> bool {
    step < "08"
}

/// Runs a program with a root file system and a command that is not in it.
fn by_an_ordinary_user(roots: &Roots, name: &str, words: &[&str]) -> Output {
    fs::set_permissions(roots.dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    // The clone may lie where nobody else may look; a copy does not.
    let program = roots.path(name);
    // By another process: a file that is open for writing, even in a child that another test has
    // just forked, cannot be executed (ETXTBSY in execve(2)).
    let copied = Command::new("cp").arg(reference(name)).arg(&program).status();
    assert!(copied.expect("cp runs").success(), "copy {name}");
    // Where the store of images is, unless somebody says otherwise.
    let home = roots.path("home");
    fs::create_dir_all(&home).expect("mkdir");
    let mut command = Command::new(&program);
    if nix::unistd::geteuid().is_root() {
        let nobody = 65534;
        chown(&home, Some(nobody), Some(nobody)).expect("chown");
        command.uid(nobody).gid(nobody);
    }
    command.env("HOME", home).env_remove("XDG_DATA_HOME");
    command.args(words).arg(roots.given(name, "good")).arg("/bin/missing");
    command.output().expect("it runs")
}

#[test]
fn grade_says_why_it_cannot_judge() {
    let roots = Roots::new();
    let cases: [(&str, PathBuf, &str); 4] = [
        ("03", roots.path("missing"), "missing"),
        ("03", roots.path("good/bin/not-executable"), "may be executed"),
        ("03", roots.path("good"), "may be executed"),
        ("77", roots.path("good/bin/no-interpreter"), "no step `77`"),
    ];
    for (step, program, reason) in cases {
        let output = crate::reference::grade(step, &program, &[]);
        if step == "77" && !can_judge("grade_says_why_it_cannot_judge") {
            continue;
        }
        one_line_says(&format!("grade {step}"), &output, &[2], &[reason]);
    }
}

fn one_line_says(case: &str, output: &Output, due: &[i32], named: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let status = output.status.code().expect("an exit status");
    assert!(due.contains(&status), "{case}: status {status}, not {due:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{case}: {stderr}");
    let names_it = named.iter().any(|name| stderr.contains(name));
    assert!(names_it, "{case}: the line does not name {named:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{case}: {}", String::from_utf8_lossy(&output.stdout));
}
