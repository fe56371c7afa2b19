//! The programs with which the reader works.

use std::env;
use std::io::{self, IsTerminal};

use super::Finding;
use crate::executables::candidates;

/// What the book's sessions by hand use, and the package that brings it.
const BY_HAND: [(&str, &str); 9] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("mount", "util-linux"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("jq", "jq"),
    ("busybox", "busybox"),
    ("cc", "gcc"),
    ("cargo", "Rust (https://rustup.rs)"),
];

/// What the sessions by hand in the book start.
pub fn examine() -> Finding {
    let (have, lack): (Vec<_>, Vec<_>) = BY_HAND.iter().partition(|(name, _)| is_installed(name));
    let names = |tools: &[&(&str, &str)]| tools.iter().map(|t| t.0).collect::<Vec<_>>().join(", ");
    if lack.is_empty() {
        return Finding::ok("tools", names(&have));
    }
    let mut packages: Vec<&str> = lack.iter().map(|tool| tool.1).collect();
    packages.dedup();
    Finding::limited(
        "tools",
        format!("there is no {}, which the book's sessions by hand use", names(&lack)),
        format!("install {}", packages.join(", ")),
    )
}

/// Whether this host has the program.
pub fn is_installed(name: &str) -> bool {
    !candidates(name).is_empty()
}

/// Where input comes from and output goes to.
pub fn terminal() -> Finding {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let kind = env::var("TERM").unwrap_or_else(|_| "unnamed".into());
        return Finding::ok("terminal", kind);
    }
    Finding::ok("terminal", "none: output is plain, and nothing is asked")
}
