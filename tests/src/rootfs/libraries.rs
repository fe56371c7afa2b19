//! Where a program's shared libraries lie on this host, found the way its loader finds them.
//!
//! The order is that of ld.so(8): the directories that the program itself names, then those of
//! the configuration, then the loader's own. What is left out: `LD_LIBRARY_PATH`, which is a
//! matter of one shell, and `ld.so.cache`, which holds nothing that its configuration does not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::elf::Elf;
use crate::executables::candidates;

/// What must stand beside a program in a root file system for it to start there.
#[derive(Debug, Default)]
pub struct Needs {
    /// The loader, by the name that is written in the program; none if it is static.
    pub interpreter: Option<PathBuf>,
    /// Each library that is loaded: its name, and its file on this host.
    pub libraries: BTreeMap<String, PathBuf>,
}

/// What the program `path`, whose headers are `elf`, needs, and what that needs in turn.
pub fn needs(path: &Path, elf: Elf) -> Result<Needs> {
    let Some(interpreter) = elf.interpreter.as_ref().map(PathBuf::from) else {
        return Ok(Needs::default());
    };
    let search = search_path(&interpreter);
    let mut libraries = BTreeMap::new();
    let mut waiting = vec![(path.to_path_buf(), elf)];
    while let Some((path, elf)) = waiting.pop() {
        for name in &elf.needed {
            // The loader is in memory already, under its own name, when libc asks for it.
            if libraries.contains_key(name) || interpreter.ends_with(name) {
                continue;
            }
            let (library, its) = (run_path(&path, &elf).iter().chain(&search))
                .find_map(|directory| library(&directory.join(name)))
                .with_context(|| format!("find {name}, which {} needs", path.display()))?;
            libraries.insert(name.clone(), library.clone());
            waiting.push((library, its));
        }
    }
    Ok(Needs { interpreter: Some(interpreter), libraries })
}

/// The files of this host without which `program` does not start, at the places where it looks for
/// them: its loader and libraries, or, for a script, its interpreter (execve(2)) and what that needs.
pub fn needed_by(program: &Path) -> Result<Vec<PathBuf>> {
    let head = fs::read(program).with_context(|| format!("read {}", program.display()))?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_whitespace();
        let mut interpreters: Vec<PathBuf> = words.next().map(PathBuf::from).into_iter().collect();
        if interpreters.first().is_some_and(|first| first.ends_with("env")) {
            let name = words.find(|word| !word.starts_with('-')).unwrap_or_default();
            interpreters.extend(candidates(name).into_iter().next());
        }
        let mut files = interpreters.clone();
        for interpreter in &interpreters {
            files.extend(needed_by(interpreter)?);
        }
        return Ok(files);
    }
    // What is neither may still be something that the machine of the caller can start.
    let Some(elf) = Elf::read(program)? else { return Ok(Vec::new()) };
    let Needs { interpreter, libraries } = needs(program, elf)?;
    // Where the libraries lie the loader reads here (ld.so(8)).
    let cache = interpreter.iter().map(|_| PathBuf::from("/etc/ld.so.cache"));
    let cache: Vec<PathBuf> = cache.filter(|file| file.exists()).collect();
    Ok(interpreter.into_iter().chain(libraries.into_values()).chain(cache).collect())
}

/// The directory in which `interpreter` finds every library without being told: its own. (The
/// name in the programs, `/lib64/ld-linux-x86-64.so.2` say, may be a link from elsewhere.)
pub fn own_directory(interpreter: &Path) -> Result<PathBuf> {
    let file = fs::canonicalize(interpreter)
        .with_context(|| format!("find the loader {}", interpreter.display()))?;
    Ok(file.parent().unwrap_or(Path::new("/")).to_path_buf())
}

/// For `/lib/ld-musl-ARCH.so.1` the file in which musl keeps its search path.
pub fn musl_configuration(interpreter: &Path) -> Option<PathBuf> {
    let name = interpreter.file_name()?.to_str()?;
    let name = name.strip_suffix(".so.1")?;
    (name.starts_with("ld-musl-")).then(|| Path::new("/etc").join(format!("{name}.path")))
}

fn search_path(interpreter: &Path) -> Vec<PathBuf> {
    let mut directories = match musl_configuration(interpreter) {
        Some(file) => fs::read_to_string(file)
            .unwrap_or_else(|_| "/lib:/usr/local/lib:/usr/lib".into())
            .split([':', '\n'])
            .map(PathBuf::from)
            .collect(),
        None => configured(Path::new("/etc/ld.so.conf")),
    };
    directories.extend(own_directory(interpreter));
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    for parent in ["/lib", "/usr/lib"] {
        directories.push(Path::new(parent).join(&multiarch));
        directories.push(PathBuf::from(format!("{parent}64")));
        directories.push(PathBuf::from(parent));
    }
    directories
}

/// The directories that `ld.so.conf` lists, one on a line (ldconfig(8)). `include` takes a
/// pattern, which in practice is a whole directory's `*.conf`.
fn configured(file: &Path) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for line in fs::read_to_string(file).unwrap_or_default().lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include") {
            for included in matching(&Path::new("/etc").join(pattern.trim())) {
                directories.extend(configured(&included));
            }
        } else if line.starts_with('/') {
            directories.push(PathBuf::from(line));
        }
    }
    directories
}

/// The files that `pattern` stands for, in order: itself, or all with its ending if it is
/// `*.ending`.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let (Some(parent), true) = (pattern.parent(), pattern.ends_with("*.conf")) else {
        return vec![pattern.to_path_buf()];
    };
    let mut files: Vec<PathBuf> = (fs::read_dir(parent).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.extension() == pattern.extension())
        .collect();
    files.sort();
    files
}

/// The directories that the file itself names; `$ORIGIN` is the directory that it lies in.
fn run_path(path: &Path, elf: &Elf) -> Vec<PathBuf> {
    let file = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let origin = file.parent().unwrap_or(Path::new("/")).to_string_lossy();
    (elf.run_path.iter().flat_map(|list| list.split(':')))
        .map(|directory| directory.replace("${ORIGIN}", &origin))
        .map(|directory| PathBuf::from(directory.replace("$ORIGIN", &origin)))
        .collect()
}

/// `path` if a library for this machine lies there: on many hosts one of 32 bits does.
fn library(path: &Path) -> Option<(PathBuf, Elf)> {
    let elf = Elf::read(path).ok()??;
    Some((path.to_path_buf(), elf))
}
