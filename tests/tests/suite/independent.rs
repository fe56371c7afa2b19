//! Programs that share nothing with the reference but the contract: shell scripts on util-linux's tools.
//!
//! A grader that asserted what the contract does not say would find it here: the reference and its
//! checks come from the same hands, and agree also on what nobody promised.

use std::path::{Path, PathBuf};

use crate::at_once::at_once;
use crate::binaries::{beside_others, can_judge, clone, say_unsupported};
use crate::reference::{STEPS, grade_patiently, lost, report};

/// What the scripts need, and Debian's package with it.
const TOOLS: [(&str, &str); 21] = [
    ("bash", "bash"),
    ("chroot", "coreutils"),
    ("find", "findutils"),
    ("flock", "util-linux"),
    ("hostname", "hostname"),
    ("gzip", "gzip"),
    ("ip", "iproute2"),
    ("jq", "jq"),
    ("setfattr", "attr"),
    ("sha256sum", "coreutils"),
    ("tar", "tar"),
    ("zstd", "zstd"),
    ("mknod", "coreutils"),
    ("od", "coreutils"),
    ("mount", "mount"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("perl", "perl-base"),
    ("pivot_root", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
];

fn script(step: &str) -> PathBuf {
    clone().join("tests/independent").join(step)
}

#[test]
fn a_shell_script_gets_full_points() {
    let _guard = beside_others();
    if !can_judge("a_shell_script_gets_full_points") {
        return;
    }
    let there = |tool: &str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(tool).exists())
    };
    if let Some((tool, package)) = TOOLS.iter().find(|(tool, _)| !there(tool)) {
        let reason = format!("no {tool} (package {package})");
        return say_unsupported("a_shell_script_gets_full_points", &reason);
    }
    at_once(&STEPS, |step| {
        let output = grade_patiently(step, &script(step), &[]);
        let report = report(&output);
        assert_eq!(lost(&report), [""; 0], "{step}: {report:#}");
    });
}
