//! `workshop rootfs DIR`: a small root file system, made of what this host already has.
//!
//! A container needs some directory to call `/`. It need not be a distribution: a shell, a few
//! tools, and the libraries that these load will do, and every Linux machine has them. The best
//! source is `busybox`, which is three hundred tools in one file; without it the host's own
//! programs are copied, each with what it links to.
//!
//! - [`tools`] looks what there is,
//! - [`layout`] makes the directories and the few files that are always the same,
//! - [`programs`] copies the programs,
//! - [`libraries`] finds what a program loads, which [`elf`] reads from its headers.

mod elf;
mod layout;
mod libraries;
mod programs;
mod tools;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub use libraries::needed_by;
use programs::Root;
pub use tools::Tools;

/// What [`make`] made.
#[derive(Debug)]
pub struct Made {
    /// Where its programs came from.
    pub tools: Tools,
    /// How many names of programs it has.
    pub programs: usize,
    /// How many shared libraries, the loader included.
    pub libraries: usize,
    /// The size of all copied files.
    pub bytes: u64,
    /// Programs of the host that could not be copied, each with the reason.
    pub left_out: Vec<(String, String)>,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.bytes.div_ceil(100_000);
        let (programs, libraries) = (self.programs, self.libraries);
        match &self.tools {
            Tools::Busybox(path) => write!(f, "{programs} programs of {}", path.display())?,
            Tools::Host => write!(f, "{programs} of this host's own programs")?,
        }
        if libraries > 0 {
            write!(f, " and {libraries} libraries")?;
        }
        write!(f, ", {}.{} MB", tenths / 10, tenths % 10)?;
        for (name, reason) in &self.left_out {
            write!(f, "; left out {name} ({reason})")?;
        }
        Ok(())
    }
}

/// Makes a root file system in `dir`, which must not exist yet or be empty, of the best tools
/// that this host has.
pub fn make(dir: &Path) -> Result<Made> {
    make_with(dir, Tools::of_this_host())
}

/// Makes a root file system of `tools` in `dir`. It is built under a temporary name and appears
/// in its place only when it is whole; after a failure nothing is left.
pub fn make_with(dir: &Path, tools: Tools) -> Result<Made> {
    let place = place_for(dir)?;
    let building = tempfile::Builder::new()
        .prefix(".rootfs-")
        .tempdir_in(&place)
        .with_context(|| format!("make a directory in {}", place.display()))?;

    layout::lay_out(building.path())?;
    let mut root = Root::new(building.path());
    let left_out = match &tools {
        Tools::Busybox(path) => root.add_busybox(path).map(|()| Vec::new())?,
        Tools::Host => root.add_programs_of_host()?,
    };
    publish(&root.dir, dir).with_context(|| format!("move the files to {}", dir.display()))?;
    Ok(Made {
        tools,
        programs: root.programs.len(),
        libraries: root.libraries.len(),
        bytes: root.bytes,
        left_out,
    })
}

/// Where to build: in `dir` itself if it is there (it may be a mount point, or somebody's
/// working directory, and must stay the same directory), else beside it.
fn place_for(dir: &Path) -> Result<PathBuf> {
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            ensure!(
                entries.next().is_none(),
                "{} is not empty: name a directory that does not exist yet",
                dir.display()
            );
            Ok(dir.to_path_buf())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = dir.parent().filter(|parent| *parent != Path::new(""));
            Ok(parent.unwrap_or(Path::new(".")).to_path_buf())
        }
        Err(error) => Err(error).with_context(|| format!("open {}", dir.display())),
    }
}

/// Gives what was built in `from` its proper name.
fn publish(from: &Path, dir: &Path) -> io::Result<()> {
    set_mode(from, 0o755)?;
    if !dir.exists() {
        return fs::rename(from, dir);
    }
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        fs::rename(from.join(&name), dir.join(&name))?;
    }
    Ok(())
}

/// Makes the symbolic link `path`.
fn link(target: &str, path: &Path) -> Result<()> {
    symlink(target, path).with_context(|| format!("make the link {}", path.display()))
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use super::{Tools, make, make_with};

    #[test]
    fn the_best_tools_of_this_host_run_in_it() {
        let dir = tempfile::tempdir().unwrap();
        runs(&dir.path().join("root"), Tools::of_this_host());
    }

    #[test]
    fn the_programs_of_this_host_run_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        runs(&root, Tools::Host);
        // The loader lists what it would load, without running anything.
        let script = "for loader in /lib/ld-*; do for program in /bin/*; do
            $loader --list $program 2>&1; done; done; true";
        if let Some(printed) = in_root(&root, script) {
            assert!(printed.contains("=> /") && !printed.contains("not found"), "{printed}");
        }
    }

    fn runs(root: &Path, tools: Tools) {
        let made = make_with(root, tools).unwrap();
        writeln!(io::stderr(), "{made}").unwrap();
        assert_eq!(made.left_out, []);
        assert!(made.programs > 20 && made.bytes > 500_000);
        for path in ["proc", "sys", "dev", "root", "home", "etc/passwd", "bin/sh"] {
            assert!(root.join(path).exists(), "{path}");
        }
        assert_eq!(mode(root), 0o755);
        assert_eq!(mode(&root.join("tmp")), 0o1777);
        assert_eq!(mode(&fs::canonicalize(root.join("bin/ls")).unwrap()), 0o755);
        let script = "ls / && id && cat /etc/os-release && sleep 0 && ls -l /bin/sh && echo ok";
        let Some(printed) = in_root(root, script) else {
            writeln!(io::stderr(), "unsupported: no privilege to chroot here").unwrap();
            return;
        };
        assert!(printed.contains("proc\n") && printed.contains("(root)"), "{printed}");
        assert!(printed.ends_with("ok\n"), "{printed}");
    }

    /// What `script` prints in `root`; `None` where nobody lets us in.
    fn in_root(root: &Path, script: &str) -> Option<String> {
        let mut command = Command::new("chroot");
        if !nix::unistd::geteuid().is_root() {
            let may = Command::new("unshare").args(["-r", "true"]).output();
            if !may.is_ok_and(|output| output.status.success()) {
                return None;
            }
            command = Command::new("unshare");
            command.args(["-r", "chroot"]);
        }
        command.arg(root).args(["/bin/sh", "-c", script]);
        let output = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", output.status);
        Some(String::from_utf8(output.stdout).unwrap())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn an_empty_directory_is_filled_where_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path()).unwrap();
        assert!(dir.path().join("bin/sh").exists());
        let hidden = fs::read_dir(dir.path()).unwrap().flatten();
        assert_eq!(hidden.filter(|e| e.file_name().to_string_lossy().starts_with('.')).count(), 0);
    }

    #[test]
    fn a_directory_in_use_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine"), "").unwrap();
        let error = make(dir.path()).unwrap_err();
        assert!(error.to_string().contains("is not empty"), "{error:#}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (root, not_a_program) = (dir.path().join("root"), dir.path().join("busybox"));
        fs::write(&not_a_program, "#!/bin/sh\n").unwrap();
        let error = make_with(&root, Tools::Busybox(not_a_program)).unwrap_err();
        assert!(error.to_string().contains("is not an"), "{error:#}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(make(&dir.path().join("busybox")).is_err());
        assert!(make(&dir.path().join("no/parent")).is_err());
    }
}
