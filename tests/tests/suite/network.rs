//! The network of step 07 where more than one container has to do with it, or another machine.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::binaries::{WORKSHOP, beside_others, can_judge, clone, reference};

const STEP: &str = "07-net-ns";

/// What the scripts need of the host, and Debian's package with it.
const TOOLS: [(&str, &str); 4] =
    [("busybox", "busybox-static"), ("ip", "iproute2"), ("nft", "nftables"), ("ss", "iproute2")];

#[test]
fn fifty_at_once_have_fifty_addresses_and_leave_nothing() {
    let test = "fifty_at_once_have_fifty_addresses_and_leave_nothing";
    if !can_run(test) {
        return;
    }
    let _guard = beside_others();
    let output = run("fifty.sh");
    assert_eq!(printed(&output), "50 addresses\nnothing left\n", "{output:?}");
}

#[test]
fn the_outside_sees_the_host_when_the_host_forwards() {
    let test = "the_outside_sees_the_host_when_the_host_forwards";
    if !can_run(test) {
        return;
    }
    let _guard = beside_others();
    let output = run("outside.sh");
    assert_eq!(printed(&output), "nobody answers\nyou are 192.0.2.1\n", "{output:?}");
}

fn can_run(test: &str) -> bool {
    let there = |tool: &str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(tool).exists())
    };
    if let Some((tool, package)) = TOOLS.iter().find(|(tool, _)| !there(tool)) {
        // Not eprintln!: the test runner hides that.
        let _ = writeln!(io::stderr(), "unsupported: {test}: no {tool} (package {package})");
        return false;
    }
    can_judge(test)
}

/// Runs a script of `tests/tests/suite/network` in a throw-away host.
fn run(script: &str) -> Output {
    let rootfs = TempDir::new().expect("a temporary directory");
    let made = Command::new(WORKSHOP).arg("rootfs").arg(rootfs.path().join("rootfs")).output();
    assert!(made.expect("workshop runs").status.success(), "workshop rootfs");
    let (step, script) = (reference(STEP), clone().join("tests/tests/suite/network").join(script));
    let mut sandbox = Command::new(WORKSHOP);
    sandbox.args(["sandbox", "--time-limit", "60"]);
    for shared in [rootfs.path(), &step, &script] {
        sandbox.arg("--share").arg(shared);
    }
    sandbox.arg("--").arg("sh").arg(script);
    sandbox.env("STEP", step).env("ROOTFS", rootfs.path().join("rootfs"));
    sandbox.output().expect("workshop runs")
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
