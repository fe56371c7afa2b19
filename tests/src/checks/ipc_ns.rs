//! Step 05: System V IPC objects and POSIX message queues of its own.

use super::Check;
use crate::judge::agent::Agent;
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, expect};
use crate::mountinfo::kernel_has_filesystem;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "ipc-ns/own-ipc-namespace",
        asserts: "The command has an IPC namespace of its own.",
        read: "CLONE_NEWIPC in unshare(2), ipc_namespaces(7)",
        holds: own_ipc_namespace,
    },
    Check {
        name: "ipc-ns/segments-are-invisible-both-ways",
        asserts: "Neither side finds a System V shared memory segment of the other by its key.",
        read: "shmget(2), sysvipc(7)",
        holds: segments_are_invisible_both_ways,
    },
    Check {
        name: "ipc-ns/queues-are-invisible-both-ways",
        asserts: "Neither side finds a POSIX message queue of the other by its name.",
        read: "mq_overview(7)",
        holds: queues_are_invisible_both_ways,
    },
    Check {
        name: "ipc-ns/mqueue-shows-its-own-queues",
        asserts: "/dev/mqueue lists the queues of the container, and none of the host's.",
        read: "mq_overview(7): the mount shows the namespace in which it was made, so unshare first",
        holds: mqueue_shows_its_own_queues,
    },
];

fn own_ipc_namespace(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let hosts = Process::host(trial.host)?.namespace("ipc")?;
    expect(agent.command.namespace("ipc")? != hosts, "/proc/PID/ns/ipc is not the host's", || {
        format!("both are ipc:[{hosts}]")
    })
}

fn segments_are_invisible_both_ways(trial: &Trial) -> Held {
    let key = || trial.number(1..i32::MAX).to_string();
    invisible_both_ways(trial, "shm", &[key(), key()])
}

fn queues_are_invisible_both_ways(trial: &Trial) -> Held {
    needs_queues()?;
    let name = || format!("/{}", trial.word());
    invisible_both_ways(trial, "mq", &[name(), name()])
}

fn invisible_both_ways(trial: &Trial, kind: &str, names: &[String; 2]) -> Held {
    let mut outside = trial.start().agent_on_the_host()?;
    let mut inside = trial.start().agent()?;
    does_not_find(&mut outside, &mut inside, kind, &names[0], "the container sees it")?;
    does_not_find(&mut inside, &mut outside, kind, &names[1], "the host sees it")
}

fn does_not_find(
    maker: &mut Agent,
    seeker: &mut Agent,
    kind: &str,
    name: &str,
    otherwise: &str,
) -> Held {
    maker.must(&format!("{kind}-make {name}"))?;
    // Where it was made it is there, so the order does work.
    maker.must(&format!("{kind}-find {name}"))?;
    let found = seeker.order(&format!("{kind}-find {name}"))?;
    expect(found.is_err(), "an IPC object exists only where it was made", || {
        format!("{otherwise}: `{kind}-find {name}` succeeds there")
    })
}

fn mqueue_shows_its_own_queues(trial: &Trial) -> Held {
    needs_queues()?;
    let (hosts, own) = (trial.word(), trial.word());
    let mut outside = trial.start().agent_on_the_host()?;
    let mut inside = trial.start().agent()?;
    outside.must(&format!("mq-make /{hosts}"))?;
    inside.must(&format!("mq-make /{own}"))?;
    let shown = inside.command.list_inside("dev/mqueue")?;
    let right = shown.contains(&own) && !shown.contains(&hosts);
    expect(
        right,
        &format!("/dev/mqueue inside has the queue {own} and not the host's {hosts}"),
        || format!("it has {shown:?}"),
    )
}

fn needs_queues() -> Held {
    if kernel_has_filesystem("mqueue")? {
        return Ok(());
    }
    let reason = "this kernel has no POSIX message queues (CONFIG_POSIX_MQUEUE)";
    Err(Broken::Unsupported(reason.into()))
}
