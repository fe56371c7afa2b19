//! Copying programs of this host into a new root, each with what it needs to start there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::elf::Elf;
use super::libraries::{Needs, musl_configuration, needs, own_directory};
use super::tools::{PROGRAMS, applets};
use super::{link, set_mode};
use crate::executables::candidates;

/// A root file system in the making.
pub struct Root {
    /// Where it is built.
    pub dir: PathBuf,
    /// Each program by its name, with the file on the host whose copy it is.
    pub programs: BTreeMap<String, PathBuf>,
    /// The loaders and libraries that it has, by their paths in it.
    pub libraries: BTreeSet<PathBuf>,
    /// The size of all copied files.
    pub bytes: u64,
}

impl Root {
    /// Begins to fill `dir`, whose directories are laid out already.
    pub fn new(dir: &Path) -> Root {
        Root {
            dir: dir.to_path_buf(),
            programs: BTreeMap::new(),
            libraries: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Adds one busybox, and a link to it for each of its applets.
    pub fn add_busybox(&mut self, path: &Path) -> Result<()> {
        self.add_program("busybox", path)?;
        for name in applets(path)? {
            if name != "busybox" {
                link("busybox", &self.dir.join("usr/bin").join(&name))?;
                self.programs.insert(name, path.to_path_buf());
            }
        }
        Ok(())
    }

    /// Adds the host's shell, without which nothing starts, and what else it has of
    /// [`PROGRAMS`]. Returns what it has but cannot be copied.
    pub fn add_programs_of_host(&mut self) -> Result<Vec<(String, String)>> {
        let Some(shell) = candidates("sh").into_iter().next() else {
            bail!("find a shell: there is no sh in /bin, /usr/bin or PATH");
        };
        self.add_program("sh", &shell)?;
        let mut left_out = Vec::new();
        for name in PROGRAMS {
            let Some(path) = candidates(name).into_iter().next() else {
                continue;
            };
            if let Err(error) = self.add_program(name, &path) {
                left_out.push(((*name).to_string(), format!("{error:#}")));
            }
        }
        Ok(left_out)
    }

    /// Copies the program `path` to `/usr/bin/NAME`, and what it loads. A file that is there
    /// already under another name, as one of many tools in one program, becomes a link.
    fn add_program(&mut self, name: &str, path: &Path) -> Result<()> {
        let elf = Elf::read(path).with_context(|| format!("read {}", path.display()))?;
        let elf = elf.with_context(|| {
            let machine = std::env::consts::ARCH;
            format!("{} is not an {machine} program in ELF", path.display())
        })?;
        let needs = needs(path, elf)?;

        let target = self.dir.join("usr/bin").join(name);
        let file = fs::canonicalize(path).with_context(|| format!("open {}", path.display()))?;
        match self.programs.iter().find(|(_, other)| **other == file) {
            Some((other, _)) => link(other, &target)?,
            None => self.bytes += copy(&file, &target)?,
        }
        self.programs.insert(name.to_string(), file);
        self.add_libraries(&needs)
    }

    /// Copies the loader to where the programs expect it, and every library to the directory
    /// that the loader searches unasked: no configuration is needed for it, and `$ORIGIN`,
    /// which is another directory now, does not matter.
    fn add_libraries(&mut self, needs: &Needs) -> Result<()> {
        let Some(interpreter) = &needs.interpreter else {
            return Ok(());
        };
        self.add_library(interpreter, interpreter)?;
        let directory = own_directory(interpreter)?;
        for (name, path) in &needs.libraries {
            self.add_library(path, &directory.join(name))?;
            // Up to version 2.33 glibc loads this one later, when a user's name is wanted.
            let nss_files = path.with_file_name("libnss_files.so.2");
            if name == "libc.so.6" && nss_files.exists() {
                self.add_library(&nss_files, &directory.join("libnss_files.so.2"))?;
            }
        }
        if let Some(file) = musl_configuration(interpreter).filter(|file| file.exists()) {
            self.add_library(&file, &file)?;
        }
        Ok(())
    }

    /// Copies the host's `path` to `target`, an absolute path in the new root.
    fn add_library(&mut self, path: &Path, target: &Path) -> Result<()> {
        if self.libraries.contains(target) {
            return Ok(());
        }
        let inside = self
            .dir
            .join(target.strip_prefix("/").with_context(|| format!("place {}", target.display()))?);
        if let Some(parent) = inside.parent() {
            make_directories(&self.dir, parent)?;
        }
        self.bytes += copy(path, &inside)?;
        self.libraries.insert(target.to_path_buf());
        Ok(())
    }
}

/// Copies the contents of a file. Its mode is made anew: no copy of ours is ever set-uid.
fn copy(from: &Path, to: &Path) -> Result<u64> {
    fs::copy(from, to)
        .and_then(|bytes| set_mode(to, 0o755).map(|()| bytes))
        .with_context(|| format!("copy {} to {}", from.display(), to.display()))
}

/// Makes `path` and what is missing above it, up to `root`, readable for everybody.
fn make_directories(root: &Path, path: &Path) -> Result<()> {
    if path == root || path.is_dir() {
        return Ok(());
    }
    make_directories(root, path.parent().unwrap_or(root))?;
    fs::create_dir(path)
        .and_then(|()| set_mode(path, 0o755))
        .with_context(|| format!("make the directory {}", path.display()))
}
