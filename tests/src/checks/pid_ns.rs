//! Step 06: process ids of its own.

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::Check;
use super::fork_exec::has_status;
use crate::judge::kernel::Process;
use crate::judge::program::PATIENCE;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Held, expect};
use crate::judge::wait::until;

pub const CHECKS: &[Check] = &[
    Check {
        name: "pid-ns/command-is-process-1",
        asserts: "The command is process 1 of a PID namespace of its own.",
        read: "CLONE_NEWPID in clone(2); unshare(2) moves only the children",
        holds: command_is_process_1,
    },
    Check {
        name: "pid-ns/proc-shows-only-the-container",
        asserts: "/proc inside lists the container's processes and no others.",
        read: "pid_namespaces(7), under /proc: it must be mounted anew, from inside",
        holds: proc_shows_only_the_container,
    },
    Check {
        name: "pid-ns/host-processes-cannot-be-signalled",
        asserts: "No number inside reaches a process outside.",
        read: "pid_namespaces(7), kill(2)",
        holds: host_processes_cannot_be_signalled,
    },
    Check {
        name: "pid-ns/its-end-ends-every-process",
        asserts: "When the command ends, so does every process in the container.",
        read: "pid_namespaces(7), under The namespace init process",
        holds: its_end_ends_every_process,
    },
    Check {
        name: "pid-ns/init-reaps-orphans",
        asserts: "With `--init` no process that lost its parent stays a zombie.",
        read: "pid_namespaces(7): orphans become children of process 1, which must wait(2)",
        holds: init_reaps_orphans,
    },
    Check {
        name: "pid-ns/init-lets-signals-take-effect",
        asserts: "With `--init` the command is not process 1, and SIGTERM ends it with status 143.",
        read: "pid_namespaces(7): process 1 gets only the signals for which it has a handler",
        holds: init_lets_signals_take_effect,
    },
    Check {
        name: "pid-ns/init-passes-the-status-on",
        asserts: "With `--init` the exit status is still the command's.",
        read: "wait(2)",
        holds: init_passes_the_status_on,
    },
];

fn command_is_process_1(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let hosts = Process::host(trial.host)?.namespace("pid")?;
    expect(agent.command.namespace("pid")? != hosts, "/proc/PID/ns/pid is not the host's", || {
        format!("both are pid:[{hosts}]")
    })?;
    let number = agent.command.inner_pid()?;
    expect(number == 1, "the last number of NSpid in /proc/PID/status is 1", || number.to_string())
}

fn proc_shows_only_the_container(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    agent.must("orphan")?;
    let mut shown: Vec<i32> =
        agent.command.list_inside("proc")?.iter().filter_map(|name| name.parse().ok()).collect();
    shown.sort_unstable();
    expect(shown == [1, 2], "/proc inside lists process 1 and its one child, 2", || {
        format!("it lists {shown:?}")
    })
}

fn host_processes_cannot_be_signalled(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    let outside = trial.start().agent_on_the_host()?;
    // In the sandbox's numbers, which a container without a namespace of its own would share.
    let number = outside.command.inner_pid()?;
    let answer = agent.order(&format!("kill {number} 0"))?;
    expect(answer == Err(Errno::ESRCH), &format!("`kill {number} 0` inside fails with ESRCH"), || {
        format!("{answer:?}, and outside {number} is a process of the host's")
    })
}

fn its_end_ends_every_process(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    agent.must("orphan")?;
    has_status(&agent.exit(0)?, &[0], "a command that exits with 0")?;
    let gone = until(PATIENCE, || Ok(trial.host.processes()?.is_empty()))?;
    expect(gone, "nothing of the container runs when its command has ended", || {
        format!("processes {:?} run", trial.host.processes().unwrap_or_default())
    })
}

fn init_reaps_orphans(trial: &Trial) -> Held {
    let mut agent = trial.start().options(["--init"]).agent()?;
    for _ in 0..3 {
        agent.must("stray")?;
    }
    let family = || trial.host.descendants(agent.run.pid());
    let alone = until(PATIENCE, || {
        Ok(family()?.iter().all(|process| process.state() != Some('Z')))
    })?;
    // They live for a moment before they can be zombies.
    let settled = until(PATIENCE, || Ok(family()?.len() <= 2))?;
    expect(alone && settled, "orphans that have ended are waited for", || {
        let states: Vec<_> = family()
            .unwrap_or_default()
            .iter()
            .map(|process| (process.pid.as_raw(), process.state()))
            .collect();
        format!("the step's descendants and their states: {states:?}")
    })
}

fn init_lets_signals_take_effect(trial: &Trial) -> Held {
    let mut agent = trial.start().options(["--init"]).agent()?;
    let number = agent.command.inner_pid()?;
    expect(number != 1, "with --init the command is not process 1", || "it is".into())?;
    agent.run.signal(Signal::SIGTERM)?;
    has_status(&agent.ending()?, &[143], "a command below an init that gets SIGTERM")
}

fn init_passes_the_status_on(trial: &Trial) -> Held {
    let code = trial.number(1..125);
    let ending = trial.start().options(["--init"]).agent()?.exit(code)?;
    has_status(&ending, &[code], &format!("a command below an init that exits with {code}"))?;
    let mut agent = trial.start().options(["--init"]).agent()?;
    agent.run.write_line("raise 9")?;
    has_status(&agent.ending()?, &[137], "a command below an init killed by SIGKILL")
}
