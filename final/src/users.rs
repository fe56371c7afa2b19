//! Users between the options, the configuration and the kernel.

use anyhow::{Context, bail};
use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Spec};
use serde_json::{Value, json};
use user_ns::Users;
use user_ns::ids::Range;

use crate::container::has_own;

/// Writes these users into a configuration.
pub fn describe(users: &Users, configuration: &mut Value) -> anyhow::Result<()> {
    let Users::Own { uids, gids } = users else { return Ok(()) };
    let linux = &mut configuration["linux"];
    linux["uidMappings"] = mappings(uids);
    linux["gidMappings"] = mappings(gids);
    let namespaces = linux["namespaces"].as_array_mut();
    namespaces.context("the configuration has namespaces")?.push(json!({ "type": "user" }));
    Ok(())
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

fn mappings(map: &[Range]) -> Value {
    let line = |range: &Range| json!({ "containerID": range.inside, "hostID": range.outside, "size": range.count });
    map.iter().map(line).collect()
}

fn ranges(mappings: Option<&[LinuxIdMapping]>) -> Vec<Range> {
    let range = |line: &LinuxIdMapping| Range {
        inside: line.container_id(),
        outside: line.host_id(),
        count: line.size(),
    };
    mappings.unwrap_or_default().iter().map(range).collect()
}
