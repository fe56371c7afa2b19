//! Step 04: a host name of its own.

use nix::sys::utsname::uname;

use super::Check;
use super::fork_exec::refuses;
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Held, expect};

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "uts-ns/own-uts-namespace",
        asserts: "The command has a UTS namespace of its own.",
        read: "CLONE_NEWUTS in unshare(2), uts_namespaces(7)",
        holds: own_uts_namespace,
    },
    Check {
        name: "uts-ns/hostname-is-set",
        asserts: "`--hostname NAME`, and its short form `-h NAME`, is the host name inside.",
        read: "sethostname(2)",
        holds: hostname_is_set,
    },
    Check {
        name: "uts-ns/host-keeps-its-name",
        asserts: "Whatever the container calls itself, the host keeps its name.",
        read: "uts_namespaces(7): set the name after the new namespace was made",
        holds: host_keeps_its_name,
    },
    Check {
        name: "uts-ns/impossible-name-is-125",
        asserts: "A host name that the kernel does not take gives status 125 and one line.",
        read: "EINVAL in sethostname(2)",
        holds: impossible_name_is_125,
    },
];

fn own_uts_namespace(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let hosts = Process::host(trial.host)?.namespace("uts")?;
    expect(agent.command.namespace("uts")? != hosts, "/proc/PID/ns/uts is not the host's", || {
        format!("both are uts:[{hosts}]")
    })
}

fn hostname_is_set(trial: &Trial) -> Held {
    sets(trial, "--hostname")?;
    sets(trial, "-h")
}

fn sets(trial: &Trial, option: &str) -> Held {
    let due = trial.word();
    let mut agent = trial.start().options([option, &due]).agent()?;
    let name = agent.must("hostname")?;
    expect(name == due, &format!("after `{option} {due}` uname(2) inside says {due}"), || {
        format!("it says {name}")
    })
}

fn host_keeps_its_name(trial: &Trial) -> Held {
    let before = host_name()?;
    let mut agent = trial.start().options(["--hostname", &trial.word()]).agent()?;
    stays(&before, "while a container has another one")?;
    agent.must(&format!("sethostname {}", trial.word()))?;
    stays(&before, "when the command changes its own")?;
    agent.exit(0)?;
    stays(&before, "after the container has ended")
}

fn stays(before: &str, when: &str) -> Held {
    let now = host_name()?;
    expect(now == before, &format!("the host's name stays {before} {when}"), || {
        format!("uname(2) on the host says {now}")
    })
}

fn impossible_name_is_125(trial: &Trial) -> Held {
    // Who does not know the option refuses every name.
    sets(trial, "--hostname")?;
    let long = "x".repeat(65);
    let ending =
        trial.start().options(["--hostname", &long]).command(["/checks/probe"]).finish()?;
    refuses(&ending, "a host name of 65 bytes")
}

fn host_name() -> anyhow::Result<String> {
    Ok(uname()?.nodename().to_string_lossy().into_owned())
}
