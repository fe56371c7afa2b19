//! Compiles the probe: one file, no dependencies, linked statically so that it runs in any root file system.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=probe/main.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        println!(
            "cargo::error=Cooperage builds containers out of the Linux kernel; on another system use the virtual machine in `vagrant/`."
        );
        return;
    }
    let out = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("probe");
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let built = Command::new(rustc)
        .args(["--edition", "2024", "--crate-name", "probe", "--target"])
        .arg(env::var_os("TARGET").expect("cargo sets TARGET"))
        .args(["-C", "target-feature=+crt-static", "-C", "opt-level=s"])
        .args(["-C", "panic=abort", "-C", "strip=symbols"])
        .arg("-o")
        .arg(&out)
        .arg("probe/main.rs")
        .status();
    if !built.is_ok_and(|status| status.success()) {
        println!(
            "cargo::error=the static probe does not link: install the C library's static half (libc6-dev on Debian and Ubuntu, glibc-static on Fedora)"
        );
    }
}
