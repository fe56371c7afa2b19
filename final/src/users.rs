//! Users between the options, the configuration and the kernel.

use anyhow::{Context, bail};
use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Spec};
use serde_json::{Value, json};
use user_ns::Users;
use user_ns::ids::Range;

use crate::container::has_own;

/// One of the configuration's `uidMappings` or `gidMappings`.
pub fn mappings(map: &[Range]) -> Value {
    map.iter()
        .map(|range| {
            json!({
                "containerID": range.inside,
                "hostID": range.outside,
                "size": range.count,
            })
        })
        .collect()
}

/// The users that a configuration describes.
pub fn users(spec: &Spec) -> anyhow::Result<Users> {
    let linux = spec.linux().as_ref();
    let uids = ranges(linux.and_then(|linux| linux.uid_mappings().as_deref()));
    let gids = ranges(linux.and_then(|linux| linux.gid_mappings().as_deref()));
    if !has_own(spec, LinuxNamespaceType::User)? {
        if !(uids.is_empty() && gids.is_empty()) {
            bail!("the configuration maps ids and has no user namespace");
        }
        return Ok(Users::Hosts);
    }
    uids.first()
        .and(gids.first())
        .context("the configuration has a user namespace and does not map both kinds of ids")?;
    Ok(Users::Own { uids, gids })
}

fn ranges(mappings: Option<&[LinuxIdMapping]>) -> Vec<Range> {
    let range = |line: &LinuxIdMapping| Range {
        inside: line.container_id(),
        outside: line.host_id(),
        count: line.size(),
    };
    mappings.unwrap_or_default().iter().map(range).collect()
}
