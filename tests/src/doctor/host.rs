//! The kernel, and who the caller is to it.

use std::fs;

use nix::sys::utsname::uname;
use nix::unistd::{User, geteuid};

use super::Finding;
use super::tools::is_installed;
use crate::sandbox::users::Privilege;

/// The oldest kernel on which the steps are tried.
const OLDEST: (u32, u32) = (5, 15);

/// The kernel and the machine.
pub fn kernel() -> Vec<Finding> {
    let (release, machine) = uname().map_or_else(
        |_| (String::new(), String::new()),
        |name| (name.release().display().to_string(), name.machine().display().to_string()),
    );
    let oldest = format!("{}.{}", OLDEST.0, OLDEST.1);
    vec![
        match version(&release) {
            Some(version) if version >= OLDEST => Finding::ok("kernel", format!("Linux {release}")),
            _ => Finding::missing(
                "kernel",
                format!("Linux {release}: the steps are tried from {oldest} on"),
                "use a newer system, or the virtual machine in vagrant/",
            ),
        },
        match machine.as_str() {
            "x86_64" | "aarch64" => Finding::ok("machine", machine),
            _ => Finding::limited(
                "machine",
                format!("{machine}: nobody has tried the steps on it"),
                "use x86_64 or aarch64",
            ),
        },
    ]
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whose work this is.
pub fn caller(privilege: Privilege) -> Finding {
    let user = geteuid();
    let found = match privilege {
        Privilege::Root => "root: steps run on the host as they are",
        _ if user.is_root() => "root without CAP_SYS_ADMIN, as in a container",
        Privilege::UserNamespace => "an ordinary user: steps run as root of a user namespace",
        Privilege::None => "an ordinary user, who may not make a user namespace",
    };
    Finding::ok("caller", found)
}

/// The ids that a user may map into his namespaces besides his own (subuid(5)).
pub fn subordinate_ids() -> Finding {
    let title = "subordinate ids";
    let user = geteuid();
    let name = User::from_uid(user).ok().flatten().map_or(user.to_string(), |user| user.name);
    let granted = |file: &str| {
        let lines = fs::read_to_string(file).unwrap_or_default();
        count(&lines, &[&name, &user.to_string()])
    };
    let (users, groups) = (granted("/etc/subuid"), granted("/etc/subgid"));
    if users == 0 || groups == 0 {
        let found =
            format!("/etc/subuid and /etc/subgid grant {name} none: its namespaces have one id");
        let fix =
            format!("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}");
        return Finding::limited(title, found, fix);
    }
    if !(user.is_root() || is_installed("newuidmap") && is_installed("newgidmap")) {
        let found = "no newuidmap and newgidmap to map them: its namespaces have one id";
        return Finding::limited(title, found, "install uidmap (Fedora: shadow-utils)");
    }
    Finding::ok(title, format!("{users} users and {groups} groups"))
}

/// How many ids the lines `NAME:FIRST:COUNT` grant to one of `names`.
fn count(lines: &str, names: &[&str]) -> u64 {
    (lines.lines())
        .filter_map(|line| {
            let (name, range) = line.split_once(':')?;
            let (_, count) = range.split_once(':')?;
            names.contains(&name).then(|| count.parse::<u64>().ok())?
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{count, version};

    #[test]
    fn releases_are_compared_by_their_first_two_numbers() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.15.153.1-microsoft-standard-WSL2"), Some((5, 15)));
        assert!(version("5.4.0") < Some(super::OLDEST));
        assert_eq!(version(""), None);
    }

    #[test]
    fn all_ranges_of_a_user_count_under_name_and_number() {
        let lines = "ann:100000:65536\nbob:165536:65536\n1000:300000:10\nbroken\n";
        assert_eq!(count(lines, &["ann", "1000"]), 65546);
        assert_eq!(count(lines, &["eve", "1001"]), 0);
    }
}
