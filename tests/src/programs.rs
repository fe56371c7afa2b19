//! The reference programs of this clone: `cargo build` makes them, beside this very program.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::interrupt;

/// The directory of the reference programs, built first if cargo is at hand. Cargo shows its
/// progress on standard error.
pub fn directory() -> Result<PathBuf> {
    let own = env::current_exe().context("find this program")?;
    let dir = own.parent().context("this program lies in no directory")?.to_owned();
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("find the clone")?;
    // cargo sets CARGO for what it runs; without it the programs must be there already.
    let Some(cargo) = env::var_os("CARGO").filter(|_| clone.join("Cargo.toml").exists()) else {
        return Ok(dir);
    };
    let _ = writeln!(io::stderr(), "Building the steps and cooper …");
    let release = dir.file_name().is_some_and(|name| name == "release");
    let mut build = Command::new(cargo);
    build.arg("build").args(release.then_some("--release")).current_dir(clone);
    interrupt::give_back(&mut build);
    let status = build.status().context("run cargo build")?;
    interrupt::check()?;
    if !status.success() {
        bail!("the steps do not build: see above");
    }
    Ok(dir)
}

/// The program of this name in `directory`, for `command`.
pub fn find(directory: &Path, name: &str, command: &str) -> Result<PathBuf> {
    let program = directory.join(name);
    if !program.exists() {
        let missing = program.display();
        bail!("{missing} is not there: run `cargo {command}` in the clone, which builds it");
    }
    Ok(program)
}
