//! Step 06: process ids of its own.

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::Check;
use super::fork_exec::{has_status, signals};
use crate::judge::agent::Agent;
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, broken, expect};
use crate::judge::wait::until;
use crate::patience::patience;

/// The checks that this step brings.
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
        name: "pid-ns/host-processes-cannot-be-reached",
        asserts: "No number inside reaches a process outside, neither by a signal nor by ptrace(2).",
        read: "pid_namespaces(7), kill(2), ptrace(2)",
        holds: host_processes_cannot_be_reached,
    },
    Check {
        name: "pid-ns/its-end-ends-every-process",
        asserts: "When the command ends, so does every process in the container.",
        read: "pid_namespaces(7), under The namespace init process",
        holds: its_end_ends_every_process,
    },
    Check {
        name: "pid-ns/a-killed-step-takes-every-process-along",
        asserts: "When the step is killed, so is every process in the container, also below an init.",
        read: "PR_SET_PDEATHSIG(2const) for process 1; the kernel does the rest",
        holds: a_killed_step_takes_every_process_along,
    },
    Check {
        name: "pid-ns/init-reaps-orphans",
        asserts: "With `--init` no process that lost its parent stays a zombie.",
        read: "pid_namespaces(7): orphans become children of process 1, which must wait(2)",
        holds: init_reaps_orphans,
    },
    Check {
        name: "pid-ns/init-lets-signals-take-effect",
        asserts: "With `--init` the command is not process 1, and SIGTERM and SIGINT end it.",
        read: "pid_namespaces(7): process 1 gets only the signals for which it has a handler",
        holds: init_lets_signals_take_effect,
    },
    Check {
        name: "pid-ns/init-passes-the-status-on",
        asserts: "With `--init` the exit status is still the command's, or says why there is none.",
        read: "wait(2)",
        holds: init_passes_the_status_on,
    },
    Check {
        name: "pid-ns/init-changes-nothing-for-the-command",
        asserts: "With `--init` the command has the same signal mask, dispositions and descriptors.",
        read: "signal(7), O_CLOEXEC in open(2): what an init does for itself must not be inherited",
        holds: init_changes_nothing_for_the_command,
    },
];

fn command_is_process_1(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    has_own_namespace(trial, &agent)?;
    let number = agent.command.inner_pid()?;
    expect(number == 1, "the last number of NSpid in /proc/PID/status is 1", || number.to_string())
}

fn has_own_namespace(trial: &Trial, agent: &Agent) -> Held {
    // The judge is in another one than the throw-away host; the step itself is in the host's.
    let hosts = Process::of(trial.host, agent.run.pid())?.namespace("pid")?;
    expect(agent.command.namespace("pid")? != hosts, "/proc/PID/ns/pid is not the host's", || {
        format!("both are pid:[{hosts}]")
    })
}

fn proc_shows_only_the_container(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    has_own_namespace(trial, &agent)?;
    agent.must("orphan")?;
    // What else may be in there is the step's affair, if only /proc says the same as the kernel.
    let same = until(patience(), || Ok(listed(&agent)? == members(trial, &agent)?))?;
    expect(
        same,
        "/proc inside lists the processes of the command's namespace, and no others",
        || {
            let (listed, members) = (listed(&agent), members(trial, &agent));
            let of = |numbers: anyhow::Result<Vec<i32>>| numbers.unwrap_or_default();
            format!("it lists {:?}, and in the namespace are {:?}", of(listed), of(members))
        },
    )
}

/// The processes that /proc inside has.
fn listed(agent: &Agent) -> anyhow::Result<Vec<i32>> {
    let names = agent.command.list_inside("proc")?;
    let mut numbers: Vec<i32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The processes of the command's PID namespace, by their numbers in there, as they are seen from
/// outside of it.
fn members(trial: &Trial, agent: &Agent) -> anyhow::Result<Vec<i32>> {
    let namespace = agent.command.namespace("pid")?;
    let family = trial.host.descendants(agent.run.pid())?;
    let is_member =
        |process: &&Process| process.namespace("pid").is_ok_and(|number| number == namespace);
    // One that has ended meanwhile is none.
    let numbers = family.iter().filter(is_member).filter_map(|process| process.inner_pid().ok());
    let mut numbers: Vec<i32> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn host_processes_cannot_be_reached(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    let outside = trial.start().agent_on_the_host()?;
    // In the sandbox's numbers, which a container without a namespace of its own would share.
    let number = outside.command.inner_pid()?;
    for order in [format!("kill {number} 0"), format!("ptrace {number}")] {
        let answer = agent.order(&order)?;
        expect(answer == Err(Errno::ESRCH), &format!("`{order}` inside fails with ESRCH"), || {
            format!("{answer:?}, and outside {number} is a process of the host's")
        })?;
    }
    Ok(())
}

fn its_end_ends_every_process(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    agent.must("orphan")?;
    has_status(&agent.exit(0)?, &[0], "a command that exits with 0")?;
    nothing_runs(trial, "when its command has ended")
}

fn a_killed_step_takes_every_process_along(trial: &Trial) -> Held {
    for options in [&[][..], &["--init"]] {
        let mut agent = trial.start().options(options).agent()?;
        agent.must("orphan")?;
        agent.run.signal(Signal::SIGKILL)?;
        agent.ending()?;
        nothing_runs(trial, &format!("when the step with the options {options:?} was killed"))?;
    }
    Ok(())
}

fn nothing_runs(trial: &Trial, when: &str) -> Held {
    let gone = until(patience(), || Ok(trial.host.processes()?.is_empty()))?;
    expect(gone, &format!("nothing of the container runs {when}"), || {
        format!("processes {:?} run", trial.host.processes().unwrap_or_default())
    })
}

fn init_reaps_orphans(trial: &Trial) -> Held {
    let mut agent = below_an_init(trial)?;
    let family = || trial.host.descendants(agent.run.pid());
    let is_first = |process: &Process| process.inner_pid().is_ok_and(|number| number == 1);
    let Some(init) = family()?.into_iter().find(is_first) else {
        return broken("process 1 of the container descends from the step", "it does not");
    };
    // Stopped, so that it finds one SIGCHLD that stands for all of them.
    init.signal(Signal::SIGSTOP)?;
    let before = family()?.len();
    agent.must("strays 16")?;
    let count = |zombies: bool| -> anyhow::Result<usize> {
        let family = trial.host.descendants(agent.run.pid())?;
        Ok(family.iter().filter(|process| (process.state() == Some('Z')) == zombies).count())
    };
    until(patience(), || Ok(count(false)? == before))?;
    init.signal(Signal::SIGCONT)?;
    let reaped = until(patience(), || Ok(count(true)? == 0))?;
    expect(reaped, "orphans that have ended are waited for", || {
        format!("{} of 16 are still zombies", count(true).unwrap_or_default())
    })?;
    expect(agent.command.state().is_some(), "the command outlives them", || {
        "it has ended with one of them".into()
    })
}

/// A container with `--init`, in which the command is not process 1.
fn below_an_init<'t>(trial: &'t Trial) -> Result<Agent<'t>, Broken> {
    let agent = trial.start().options(["--init"]).agent()?;
    has_own_namespace(trial, &agent)?;
    let number = agent.command.inner_pid()?;
    expect(number != 1, "with --init the command is not process 1", || "it is".into())?;
    Ok(agent)
}

fn init_lets_signals_take_effect(trial: &Trial) -> Held {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut agent = below_an_init(trial)?;
        agent.run.signal(signal)?;
        let due = 128 + signal as i32;
        has_status(
            &agent.ending()?,
            &[due],
            &format!("a command below an init that gets {signal}"),
        )?;
    }
    let mut agent = below_an_init(trial)?;
    agent.must("catch 15")?;
    agent.run.signal(Signal::SIGTERM)?;
    let heard = agent.hears("signal 15", patience())?;
    expect(heard, "below an init SIGTERM reaches the handler of the command", || {
        format!("after {} s the handler had not run", patience().as_secs())
    })
}

fn init_passes_the_status_on(trial: &Trial) -> Held {
    let code = trial.number(1..125);
    let ending = below_an_init(trial)?.exit(code)?;
    has_status(&ending, &[code], &format!("a command below an init that exits with {code}"))?;
    let mut agent = below_an_init(trial)?;
    agent.run.write_line("raise 9")?;
    has_status(&agent.ending()?, &[137], "a command below an init killed by SIGKILL")?;
    for (command, due) in [(trial.word(), 127), ("not-executable".to_owned(), 126)] {
        let command = trial.inside(&command);
        let ending = trial.start().options(["--init"]).command([&command]).finish()?;
        has_status(&ending, &[due], &format!("--init and the command {}", command.display()))?;
    }
    Ok(())
}

fn init_changes_nothing_for_the_command(trial: &Trial) -> Held {
    let start = |options: &[&str]| {
        let caller = trial.start().blocking(Signal::SIGUSR2).ignoring(Signal::SIGHUP);
        caller.options(options).agent()
    };
    let (without, with) = (start(&[])?, start(&["--init"])?);
    for field in ["SigBlk", "SigIgn"] {
        let due = signals(&without.command, field)?;
        let shown = signals(&with.command, field)?;
        expect(
            shown == due,
            &format!("with --init {field} of the command is {due:016x} too"),
            || format!("/proc/PID/status says {shown:016x}; bit 0 is signal 1"),
        )?;
    }
    let due: Vec<i32> = without.command.descriptors()?.into_keys().collect();
    let shown: Vec<i32> = with.command.descriptors()?.into_keys().collect();
    expect(
        shown == due,
        &format!("with --init the command has the descriptors {due:?} too"),
        || format!("/proc/PID/fd has {shown:?}"),
    )
}
