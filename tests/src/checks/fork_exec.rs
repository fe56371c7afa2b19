//! Step 00: a command runs, and whoever called the step cannot tell it from a direct call.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::sys::signal::Signal;

use super::Check;
use crate::judge::kernel::Process;
use crate::judge::network::HostNetwork;
use crate::judge::run::Ending;
use crate::judge::tree;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, broken, expect};
use crate::judge::wait::until;
use crate::mountinfo::Mount;
use crate::patience::patience;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "fork-exec/arguments-are-exact",
        asserts: "Every argument reaches the command byte for byte, in its order.",
        read: "execve(2), and how your language splits or joins command lines",
        holds: arguments_are_exact,
    },
    Check {
        name: "fork-exec/environment-arrives",
        asserts: "Every environment variable of the caller arrives unchanged.",
        read: "environ(7)",
        holds: environment_arrives,
    },
    Check {
        name: "fork-exec/standard-streams-are-the-callers",
        asserts: "Descriptors 0, 1 and 2 of the command are the caller's own.",
        read: "stdin(3); a child inherits them, nothing needs to be copied through",
        holds: standard_streams_are_the_callers,
    },
    Check {
        name: "fork-exec/prints-nothing-of-its-own",
        asserts: "When all goes well the step writes nothing itself.",
        read: "the contract, under `Common to all`",
        holds: prints_nothing_of_its_own,
    },
    Check {
        name: "fork-exec/no-descriptor-leaks",
        asserts: "No descriptor of the step's own reaches the command.",
        read: "O_CLOEXEC in open(2)",
        holds: no_descriptor_leaks,
    },
    Check {
        name: "fork-exec/signal-mask-and-dispositions-are-the-callers",
        asserts: "The command starts with the caller's signal mask and ignores what the caller ignores.",
        read: "signal(7): both survive an exec; a language runtime may have changed SIGPIPE",
        holds: mask_and_dispositions_are_the_callers,
    },
    Check {
        name: "fork-exec/exit-code-passes-on",
        asserts: "The exit status of the step is the command's.",
        read: "WEXITSTATUS in wait(2)",
        holds: exit_code_passes_on,
    },
    Check {
        name: "fork-exec/death-by-signal-is-128-plus-n",
        asserts: "When signal N kills the command the status is 128+N.",
        read: "WIFSIGNALED and WTERMSIG in wait(2)",
        holds: death_by_signal_is_128_plus_n,
    },
    Check {
        name: "fork-exec/not-found-is-127",
        asserts: "A command that does not exist gives status 127.",
        read: "ENOENT in execve(2)",
        holds: not_found_is_127,
    },
    Check {
        name: "fork-exec/not-executable-is-126",
        asserts: "A command that exists but cannot be executed gives status 126, and no shell gets it.",
        read: "EACCES and ENOEXEC in execve(2); execvp(3) hands unknown formats to /bin/sh",
        holds: not_executable_is_126,
    },
    Check {
        name: "fork-exec/misuse-is-125",
        asserts: "A call without the needed arguments gives status 125 and one line on standard error.",
        read: "the contract, under `Common to all`",
        holds: misuse_is_125,
    },
    Check {
        name: "fork-exec/signals-reach-the-command",
        asserts: "SIGTERM and SIGINT sent to the step reach the command.",
        read: "signalfd(2), pidfd_send_signal(2)",
        holds: signals_reach_the_command,
    },
    Check {
        name: "fork-exec/dies-with-the-step",
        asserts: "When the step is killed the command dies too.",
        read: "PR_SET_PDEATHSIG in prctl(2)",
        holds: dies_with_the_step,
    },
    Check {
        name: "fork-exec/no-zombie",
        asserts: "No child of the step's stays a zombie.",
        read: "wait(2), under NOTES",
        holds: no_zombie,
    },
    Check {
        name: "fork-exec/nothing-left-behind",
        asserts: "Afterwards nothing of the step's is left: no process, mount, file or interface.",
        read: "the contract, under `Common to all`",
        holds: nothing_left_behind,
    },
    Check {
        name: "fork-exec/two-side-by-side",
        asserts: "Two copies run at the same time without noticing each other.",
        read: "the contract, under `Common to all`",
        holds: two_side_by_side,
    },
];

fn arguments_are_exact(trial: &Trial) -> Held {
    let mut given: Vec<OsString> =
        ["", " ", "a b", "--", "-x", "--help", "$HOME", "*", "'\"", "a\nb"]
            .map(OsString::from)
            .to_vec();
    given.push(OsString::from_vec(vec![0xff, 0xfe]));
    given.push(trial.word().into());
    let agent = trial.start().agent_with(&given)?;
    let mut arrived = agent.command.arguments()?.into_iter();
    // By its name a program may tell what to do, as busybox does; the way to it may be spelled out.
    let name = arrived.next().unwrap_or_default();
    expect(Path::new(&name).ends_with("probe"), "argument 0 of the command is its name", || {
        format!("/proc/PID/cmdline begins with {}", name.display())
    })?;
    // Then comes the word by which the judge knows this run.
    let arrived: Vec<OsString> = arrived.skip(1).collect();
    expect(arrived == given, "the arguments of the command are the given ones", || {
        format!("given {given:?}, in /proc/PID/cmdline {arrived:?}")
    })
}

fn environment_arrives(trial: &Trial) -> Held {
    let odd = OsString::from_vec(b"two\nlines \xff".to_vec());
    let path = trial.path().chain([trial.inside(&trial.word())]);
    let given = [
        (format!("COOPERAGE_{}", trial.word().to_uppercase()), OsString::from(trial.word())),
        ("COOPERAGE_EMPTY".to_owned(), OsString::new()),
        ("COOPERAGE_ODD".to_owned(), odd),
        // What a step is tempted to set for a container; images do that in step 19.
        ("PATH".to_owned(), env::join_paths(path).unwrap_or_default()),
        ("HOME".to_owned(), format!("/home/{}", trial.word()).into()),
        ("TERM".to_owned(), trial.word().into()),
    ];
    let mut start = trial.start();
    for (name, value) in &given {
        start = start.variable(name, value);
    }
    let agent = start.agent()?;
    let arrived = agent.command.environment()?;
    for (name, value) in given {
        let name = [name.as_bytes(), b"="].concat();
        let due = [&name, value.as_bytes()].concat();
        let named = arrived.iter().map(|variable| variable.as_bytes());
        let shown: Vec<_> = named.filter(|variable| variable.starts_with(&name)).collect();
        let expected = format!("{} in the environment of the command", due.escape_ascii());
        expect(shown == [due], &expected, || {
            let shown: Vec<_> =
                shown.iter().map(|entry| entry.escape_ascii().to_string()).collect();
            format!("/proc/PID/environ has {shown:?}")
        })?;
    }
    Ok(())
}

fn standard_streams_are_the_callers(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let open = agent.command.descriptors()?;
    for (number, pipe) in agent.run.pipes()? {
        let there = open.get(&number);
        expect(
            there == Some(&pipe),
            &format!("descriptor {number} is the caller's {pipe}"),
            || format!("/proc/PID/fd/{number} is {}", there.map_or("closed", String::as_str)),
        )?;
    }
    Ok(())
}

fn prints_nothing_of_its_own(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let ending = agent.exit(0)?;
    let output = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    expect(ending.stdout.is_empty(), "nothing on standard output but the command's own", || {
        format!("also {:?}", output(&ending.stdout))
    })?;
    expect(ending.stderr.is_empty(), "nothing on standard error", || output(&ending.stderr))
}

fn no_descriptor_leaks(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let mut open = agent.command.descriptors()?;
    open.retain(|number, _| *number > 2);
    expect(open.is_empty(), "only descriptors 0, 1 and 2 are open in the command", || {
        format!("/proc/PID/fd also has {open:?}")
    })
}

fn mask_and_dispositions_are_the_callers(trial: &Trial) -> Held {
    let agent = trial.start().blocking(Signal::SIGUSR2).ignoring(Signal::SIGHUP).agent()?;
    let bit = |signal: Signal| 1u64 << (signal as u32 - 1);
    for (field, due) in [("SigBlk", bit(Signal::SIGUSR2)), ("SigIgn", bit(Signal::SIGHUP))] {
        let shown = signals(&agent.command, field)?;
        expect(
            shown == due,
            &format!("{field} of the command is {due:016x}, as the caller's"),
            || format!("/proc/PID/status says {shown:016x}; bit 0 is signal 1"),
        )?;
    }
    Ok(())
}

/// One of the sets of signals in `/proc/PID/status`, without the two that the C library has for itself:
/// its `posix_spawn` leaves them ignored.
pub fn signals(process: &Process, field: &str) -> Result<u64, Broken> {
    const C_LIBRARYS: u64 = 0b11 << 31; // signals 32 and 33
    let text = process.status_field(field)?;
    let set = u64::from_str_radix(&text, 16)
        .map_err(|error| anyhow::anyhow!("{field} is {text:?}: {error}"))?;
    Ok(set & !C_LIBRARYS)
}

fn exit_code_passes_on(trial: &Trial) -> Held {
    for code in [0, trial.number(1..125), trial.number(129..256)] {
        let ending = trial.start().agent()?.exit(code)?;
        has_status(&ending, &[code], &format!("a command that exits with {code}"))?;
    }
    Ok(())
}

fn death_by_signal_is_128_plus_n(trial: &Trial) -> Held {
    let others = [Signal::SIGABRT, Signal::SIGSEGV, Signal::SIGUSR1, Signal::SIGALRM];
    let chosen = others[usize::try_from(trial.number(0..4)).unwrap_or(0)];
    for signal in [Signal::SIGKILL, chosen] {
        let mut agent = trial.start().agent()?;
        // To process 1 of a PID namespace nobody inside can send a deadly signal, and from outside
        // only SIGKILL is one (pid_namespaces(7)).
        let signal = if agent.command.inner_pid()? == 1 {
            agent.command.signal(Signal::SIGKILL)?;
            Signal::SIGKILL
        } else {
            agent.run.write_line(&format!("raise {}", signal as i32))?;
            signal
        };
        let ending = agent.ending()?;
        has_status(&ending, &[128 + signal as i32], &format!("a command killed by {signal}"))?;
    }
    Ok(())
}

fn not_found_is_127(trial: &Trial) -> Held {
    runs(trial)?;
    let absent = trial.word();
    for command in [trial.inside(&absent), absent.into()] {
        let ending = trial.start().command([&command]).finish()?;
        has_status(&ending, &[127], &format!("the missing command {}", command.display()))?;
    }
    Ok(())
}

fn not_executable_is_126(trial: &Trial) -> Held {
    runs(trial)?;
    for (name, statuses) in [
        ("not-executable", &[126][..]),
        ("directory", &[126]),
        ("foreign", &[126]),
        ("no-format", &[126]),
        ("no-interpreter", &[126, 127]),
    ] {
        // Under its own name it could be recognised.
        let (word, original) = (trial.word(), trial.outside("checks").join(name));
        fs::rename(&original, original.with_file_name(&word)).context("rename a file")?;
        let ending = trial.start().command([trial.inside(&word)]).finish()?;
        has_status(&ending, statuses, &format!("a command that is `{name}`"))?;
        expect(ending.stdout.is_empty(), &format!("nothing executes `{name}`"), || {
            format!("standard output: {:?}", String::from_utf8_lossy(&ending.stdout))
        })?;
    }
    Ok(())
}

fn misuse_is_125(trial: &Trial) -> Held {
    runs(trial)?;
    let ending = trial.start().without_arguments().finish()?;
    refuses(&ending, "a call without arguments")
}

fn signals_reach_the_command(trial: &Trial) -> Held {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut agent = trial.start().agent()?;
        agent.must(&format!("catch {}", signal as i32))?;
        agent.run.signal(signal)?;
        let heard = agent.hears(&format!("signal {:02}", signal as i32), patience())?;
        let expected = format!("a {signal} sent to the step reaches the handler of the command");
        expect(heard, &expected, || {
            format!("after {} s the handler had not run", patience().as_secs())
        })?;
        // A command that handles a signal goes on, and so does the step that waits for it.
        has_status(&agent.exit(0)?, &[0], &format!("a command that outlives a {signal}"))?;
    }
    Ok(())
}

fn dies_with_the_step(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    agent.run.signal(Signal::SIGKILL)?;
    let ended = agent.command.ends_within(patience())?;
    agent.ending()?;
    expect(ended, "the command dies when the step is killed by SIGKILL", || {
        format!("{} s later process {} still runs", patience().as_secs(), agent.command.pid)
    })
}

fn no_zombie(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let step = Process::of(trial.host, agent.run.pid())?;
    // Those of the step's processes that are in one of these states (proc(5)).
    let family = |states: &str| -> anyhow::Result<Vec<String>> {
        let mut family = trial.host.descendants(step.pid)?;
        family.retain(|process| process.state().is_some_and(|state| states.contains(state)));
        Ok(family.iter().map(|process| process.pid.to_string()).collect())
    };
    // A step that still runs may be about to start something, and what still runs may be about to
    // end: the look counts when all have gone to sleep. A program may also be about to wait; only a
    // zombie that stays is one. The step is looked at first: asleep, it starts nothing more.
    let at_rest = || Ok(step.state() == Some('S') && family("RDZ")?.is_empty());
    let gone = until(patience() / 4, at_rest)? || family("Z")?.is_empty();
    expect(gone, "no child of the step's stays a zombie while the command runs", || {
        format!("State is Z in the status of process {:?}", family("Z").unwrap_or_default())
    })
}

fn nothing_left_behind(trial: &Trial) -> Held {
    let before = Inventory::take(trial)?;
    trial.start().agent()?.exit(0)?;
    before.compare(trial, "after the step has ended")?;
    let mut agent = trial.start().agent()?;
    agent.run.signal(Signal::SIGKILL)?;
    agent.ending()?;
    before.compare(trial, "after the step was killed")
}

fn two_side_by_side(trial: &Trial) -> Held {
    let (one, mut two) = (trial.start().agent()?, trial.start().agent()?);
    let (first, second) = (trial.number(1..60), trial.number(60..120));
    has_status(&one.exit(first)?, &[first], "the first of two commands")?;
    two.must("chdir /")?;
    has_status(&two.exit(second)?, &[second], "the second of two commands")
}

/// A refusal proves nothing unless the step can do better.
pub fn runs(trial: &Trial) -> Held {
    let ending = trial.start().agent()?.exit(0)?;
    has_status(&ending, &[0], "a command that exits with 0")
}

/// Status 125, and one line that says why.
pub fn refuses(ending: &Ending, what: &str) -> Held {
    has_status(ending, &[125], what)?;
    let text = String::from_utf8_lossy(&ending.stderr);
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    expect(lines == 1, &format!("{what} gives one line on standard error"), || {
        format!("{lines} lines: {text:?}")
    })
}

/// The exit status is one of the `due` ones.
pub fn has_status(ending: &Ending, due: &[i32], what: &str) -> Held {
    if due.contains(&ending.status) {
        return Ok(());
    }
    let due: Vec<String> = due.iter().map(i32::to_string).collect();
    let stderr = String::from_utf8_lossy(&ending.stderr);
    broken(
        format!("{what} gives status {}", due.join(" or ")),
        format!("status {}, on standard error {stderr:?}", ending.status),
    )
}

/// Where a program may think of leaving something. All of them are the sandbox's own: in what it only
/// shows (`/home`, `/etc`) somebody outside could make a file meanwhile.
const PLACES: [&str; 6] = ["/", "/dev/mqueue", "/dev/shm", "/run", "/tmp", "/var/tmp"];

/// What must be the same before and after.
struct Inventory {
    mounts: Vec<Mount>,
    files: BTreeMap<OsString, String>,
    elsewhere: BTreeMap<PathBuf, String>,
    network: HostNetwork,
}

impl Inventory {
    fn take(trial: &Trial) -> Result<Inventory, Broken> {
        let mut elsewhere = BTreeMap::new();
        let beside = trial.rootfs.parent().unwrap_or(&trial.rootfs);
        for dir in PLACES.iter().map(Path::new).chain([beside]) {
            let there = tree::list(dir, 1).into_iter();
            elsewhere.extend(there.map(|(name, what)| (dir.join(name), what)));
        }
        // mount(8) makes it for itself where it is missing, which on a real host it never is.
        elsewhere.remove(Path::new("/run/mount"));
        Ok(Inventory {
            mounts: trial.host_mounts()?,
            files: tree::list(&trial.rootfs, usize::MAX),
            elsewhere,
            network: HostNetwork::of(trial)?,
        })
    }

    fn compare(&self, trial: &Trial, when: &str) -> Held {
        let gone = until(patience(), || Ok(trial.host.processes()?.is_empty()))?;
        expect(gone, &format!("no process is left {when}"), || {
            format!("processes {:?} run", trial.host.processes().unwrap_or_default())
        })?;
        let now = Inventory::take(trial)?;
        for (thing, earlier, later) in [
            ("the mounts of the host", format!("{:#?}", self.mounts), format!("{:#?}", now.mounts)),
            (
                "the files outside of ROOTFS",
                format!("{:#?}", self.elsewhere),
                format!("{:#?}", now.elsewhere),
            ),
            (
                "the network of the host",
                format!("{:#?}", self.network),
                format!("{:#?}", now.network),
            ),
        ] {
            expect(earlier == later, &format!("{thing} are {when} as they were before"), || {
                first_difference(&earlier, &later)
            })?;
        }
        self.rootfs_is_the_same(&now, when)
    }

    fn rootfs_is_the_same(&self, now: &Inventory, when: &str) -> Held {
        for (path, what) in &now.files {
            let before = self.files.get(path);
            let fine = before.map_or_else(|| is_mount_point(path, what), |before| before == what);
            expect(fine, &format!("ROOTFS is {when} as it was"), || match before {
                Some(before) => format!("{} was {before} and is {what}", path.display()),
                None => format!("{} is new: {what}", path.display()),
            })?;
        }
        let lost = self.files.keys().find(|path| !now.files.contains_key(*path));
        expect(lost.is_none(), &format!("ROOTFS is {when} as it was"), || {
            format!("{} is gone", lost.map(|path| path.display().to_string()).unwrap_or_default())
        })
    }
}

/// Mount points that were missing may be made and stay: directories and empty files.
fn is_mount_point(path: &OsString, what: &str) -> bool {
    let place = path.as_bytes();
    [b"proc".as_slice(), b"sys", b"dev"].iter().any(|name| {
        place.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }) && (what.starts_with("directory") || what.starts_with("empty file"))
}

fn first_difference(earlier: &str, later: &str) -> String {
    let (earlier, later): (Vec<_>, Vec<_>) = (earlier.lines().collect(), later.lines().collect());
    let new = later.iter().find(|line| !earlier.contains(line));
    let old = earlier.iter().find(|line| !later.contains(line));
    format!("before {:?}, now {:?}", old.unwrap_or(&""), new.unwrap_or(&""))
}
