//! The mutants as one cargo workspace, so that a single `cargo build` makes them all.
//!
//! It is written to `target/mutants`, one package for each mutant: a copy of its step's folder with the
//! mistake in it, which depends on the unchanged earlier steps. It builds into the same target
//! directory as everything else, where the libraries that the steps use are compiled already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

use super::Mutant;
use crate::binaries::{WORKSHOP, clone};

/// Builds all mutants and returns the directory of their programs, `target/debug`.
///
/// With `COOPERAGE_BIN_DIR` they must be there already, as the reference programs must.
pub fn build(mutants: &[Mutant]) -> PathBuf {
    if let Some(dir) = std::env::var_os("COOPERAGE_BIN_DIR") {
        return dir.into();
    }
    let programs = Path::new(WORKSHOP).parent().expect("the binary lies in a directory");
    let target = programs.parent().expect("the target directory");
    let top = target.join("mutants");
    for mutant in mutants {
        write_package(mutant, &top.join(mutant.program()));
    }
    write(&top.join("Cargo.toml"), &workspace_manifest(mutants));
    // The same versions as the reference's. Cargo takes out what no mutant needs, so the file is only
    // written anew when the original has changed.
    let lock = fs::read_to_string(clone().join("Cargo.lock")).expect("read Cargo.lock");
    if write(&top.join("Cargo.lock.original"), &lock) {
        fs::write(top.join("Cargo.lock"), &lock).expect("write Cargo.lock");
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--bins", "--keep-going", "--target-dir"])
        .arg(target)
        .current_dir(&top)
        // What is never edited gains nothing from being ready for the next edit.
        .env("CARGO_INCREMENTAL", "0")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the mutants do not build");
    target.join("debug")
}

fn write_package(mutant: &Mutant, package: &Path) {
    let step = Path::new("steps").join(&mutant.step);
    let within = mutant.change.file.strip_prefix(&step);
    let within = within.unwrap_or_else(|_| panic!("{} is about another step", mutant.program()));
    copy(&clone().join(&step), package, &|path| {
        let original = || fs::read_to_string(clone().join(&step).join(path)).expect("read a file");
        if path == within {
            mutant.text()
        } else if path == Path::new("Cargo.toml") {
            package_manifest(mutant, &original())
        } else {
            original()
        }
    });
}

/// Copies the files of a package, each as `text` gives it for the path below its folder.
fn copy(from: &Path, to: &Path, text: &dyn Fn(&Path) -> String) {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(from.join(&folder)).expect("read a folder of a step") {
            let entry = entry.expect("read a folder of a step");
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else {
                write(&to.join(&path), &text(&path));
            }
        }
    }
}

/// The step's own, with other names for the package and the program. The library keeps its name, by
/// which `main.rs` calls it.
fn package_manifest(mutant: &Mutant, original: &str) -> String {
    let mut manifest: Table = original.parse().expect("the manifest of a step");
    let package = manifest["package"].as_table_mut().expect("[package]");
    let library = package["name"].as_str().expect("a name").replace('-', "_");
    package.insert("name".into(), mutant.program().into());
    manifest["bin"][0]["name"] = mutant.program().into();
    manifest.insert("lib".into(), Table::from_iter([("name".into(), library.into())]).into());
    manifest.to_string()
}

/// That of the clone, with other members. The programs need no debugging information, which would be
/// most of their size.
fn workspace_manifest(mutants: &[Mutant]) -> String {
    let original = fs::read_to_string(clone().join("Cargo.toml")).expect("read Cargo.toml");
    let mut manifest: Table = original.parse().expect("the manifest of the workspace");
    let workspace = manifest["workspace"].as_table_mut().expect("[workspace]");
    let members: Vec<Value> = mutants.iter().map(|mutant| mutant.program().into()).collect();
    workspace.insert("members".into(), members.into());
    workspace.remove("default-members");
    // A mistake often leaves something unused.
    let silent = Table::from_iter([("warnings".into(), "allow".into())]);
    workspace.insert("lints".into(), Table::from_iter([("rust".into(), silent.into())]).into());
    let dependencies = workspace["dependencies"].as_table_mut().expect("dependencies");
    for (_, dependency) in dependencies.iter_mut() {
        if let Some(path) = dependency.get("path").and_then(Value::as_str) {
            let path = clone().join(path).display().to_string();
            dependency["path"] = path.into();
        }
    }
    let lean = Table::from_iter([("debug".into(), false.into()), ("strip".into(), true.into())]);
    let lean = mutants.iter().map(|mutant| (mutant.program(), lean.clone().into()));
    let profile = manifest["profile"]["dev"].as_table_mut().expect("[profile.dev]");
    profile.insert("package".into(), lean.collect::<Table>().into());
    manifest.to_string()
}

/// Writes a file unless it has just this text, so that cargo finds it fresh. Returns whether it wrote.
fn write(path: &Path, text: &str) -> bool {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return false;
    }
    fs::create_dir_all(path.parent().expect("a folder")).expect("make a folder for a mutant");
    fs::write(path, text).expect("write a file of a mutant");
    true
}
