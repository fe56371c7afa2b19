//! Step 13: how many processes, and how fast to a disk.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Check;
use super::cgroup_cpu::{is_refused_without_a_group, not_before};
use super::fork_exec::{has_status, refuses};
use crate::judge::account::{bytes_written, number, pids_limit, write_limits};
use crate::judge::agent::Agent;
use crate::judge::disk::{Disk, OwnDisk};
use crate::judge::groups::{Group, group_with, groups, read};
use crate::judge::kernel::Process;
use crate::judge::trial::{PROBE, Trial};
use crate::judge::verdict::{Broken, Held, expect};
use crate::judge::wait::until;
use crate::patience::patience;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "cgroup-pids-io/a-fork-bomb-stops-at-the-limit",
        asserts: "With `--pids-limit N` the kernel refuses a fork bomb's forks, and there were never \
                  more than N processes.",
        read: "pids.max, pids.peak and pids.events in the kernel's cgroup-v2.rst; pids.rst for version 1",
        holds: a_fork_bomb_stops_at_the_limit,
    },
    Check {
        name: "cgroup-pids-io/just-as-many-as-asked-for",
        asserts: "With `--pids-limit N` there is room for N processes, of which the command is one.",
        read: "pids.max: a fork is refused that would lead to more; whoever else is in the group counts",
        holds: just_as_many_as_asked_for,
    },
    Check {
        name: "cgroup-pids-io/the-limit-is-the-groups-own",
        asserts: "The limit stands in the container's own group, and in none above it.",
        read: "pids.max of the group in /proc/PID/cgroup; one above it is other people's too",
        holds: the_limit_is_the_groups_own,
    },
    Check {
        name: "cgroup-pids-io/the-limit-comes-before-the-command",
        asserts: "As long as the limit has not been written the command does not run.",
        read: "the rendezvous of step 07: limit the group first, release the child afterwards",
        holds: the_limit_comes_before_the_command,
    },
    Check {
        name: "cgroup-pids-io/without-the-options-there-is-no-limit",
        asserts: "Without the options the group limits neither processes nor writes.",
        read: "`max` in pids.max, and no line in io.max or blkio.throttle.write_bps_device",
        holds: without_the_options_there_is_no_limit,
    },
    Check {
        name: "cgroup-pids-io/others-can-still-fork",
        asserts: "While a fork bomb is at its limit, the host and another container still can fork.",
        read: "cgroups(7): whoever is in the same group shares its limit",
        holds: others_can_still_fork,
    },
    Check {
        name: "cgroup-pids-io/nothing-is-left-of-a-fork-bomb",
        asserts: "When the command has ended, so has all that its fork bomb has made, and its group is \
                  gone.",
        read: "EBUSY in rmdir(2): a group can be removed when its last process has left it",
        holds: nothing_is_left_of_a_fork_bomb,
    },
    Check {
        name: "cgroup-pids-io/impossible-number-is-125",
        asserts: "A number of processes that is less than 1, or none, gives status 125 and one line.",
        read: "the contract: `--pids-limit` is 1 or more",
        holds: impossible_number_is_125,
    },
    Check {
        name: "cgroup-pids-io/the-bandwidth-stands-in-the-groups-file",
        asserts: "With `--device-write-bps DISK:RATE` the group's file limits the writes to this disk to \
                  this rate, and with several to each.",
        read: "io.max in cgroup-v2.rst (`8:0 wbps=1048576`); blkio.throttle.write_bps_device on version 1",
        holds: the_bandwidth_stands_in_the_groups_file,
    },
    Check {
        name: "cgroup-pids-io/writes-take-their-time",
        asserts: "A command that writes past the page cache is not faster than the rate by more than a \
                  tenth.",
        read: "wbytes in io.stat, blkio.throttle.io_service_bytes on version 1; O_DIRECT in open(2)",
        holds: writes_take_their_time,
    },
    Check {
        name: "cgroup-pids-io/impossible-bandwidth-is-125",
        asserts: "A disk that is none, and a rate that is none, give status 125 and one line.",
        read: "the contract, step 13: a whole disk, a colon, and 1 or more of b, kb, mb or gb",
        holds: impossible_bandwidth_is_125,
    },
    Check {
        name: "cgroup-pids-io/a-limit-that-cannot-be-set-is-125",
        asserts: "Where the step can make no group, either limit gives status 125 and one line.",
        read: "the contract, step 10: a limit is never silently left out",
        holds: a_limit_that_cannot_be_set_is_125,
    },
];

/// How long a limit may be late where that is not the question.
const MOMENT: Duration = Duration::from_secs(1);

/// How many seconds writing takes, if the rate is kept.
const WRITING: i32 = 2;

/// A container with a limit on processes.
struct Limited<'t> {
    agent: Agent<'t>,
    limit: u64,
    group: Group,
}

impl<'t> Limited<'t> {
    fn start(trial: &'t Trial) -> Result<Limited<'t>, Broken> {
        // Without the controller nothing can be judged.
        group_with(trial, &Process::host(trial.host)?, "pids")?;
        let limit = some_limit(trial);
        let agent = trial.start().options(["--pids-limit", &limit.to_string()]).agent()?;
        let group = group_with(trial, &agent.command, "pids")?;
        Ok(Limited { agent, limit, group })
    }

    /// One that is full.
    fn bombed(trial: &'t Trial) -> Result<Limited<'t>, Broken> {
        let mut limited = Limited::start(trial)?;
        limited.agent.must("bomb")?;
        Ok(limited)
    }

    /// The group that has the limit, which may be one around the command's own.
    fn directory(&self) -> PathBuf {
        let has_limit = |group: &&Path| {
            read(&group.join("pids.max")).is_ok_and(|text| text.trim() == self.limit.to_string())
        };
        self.group.own().find(has_limit).unwrap_or(&self.group.directory).to_owned()
    }
}

/// Room for a program that needs some processes of its own on the way, and less than the sandbox has.
fn some_limit(trial: &Trial) -> u64 {
    u64::from(trial.number(12..40).cast_unsigned())
}

fn a_fork_bomb_stops_at_the_limit(trial: &Trial) -> Held {
    let bombed = Limited::bombed(trial)?;
    let directory = bombed.directory();
    let events = read(&directory.join("pids.events"))?;
    let refused = events.lines().any(|line| line.starts_with("max ") && line != "max 0");
    expect(refused, "pids.events of the container's group counts the refused forks", || {
        format!("it reads {events:?}")
    })?;
    // Before Linux 6.1 the group does not remember how many there were.
    let has_peak = directory.join("pids.peak").exists();
    let file = if has_peak { "pids.peak" } else { "pids.current" };
    let most = number(&directory.join(file))?;
    expect(most <= bombed.limit, &format!("at most {} processes", bombed.limit), || {
        format!("{file} of the container's group reads {most}")
    })
}

fn just_as_many_as_asked_for(trial: &Trial) -> Held {
    let Limited { agent, limit, .. } = Limited::bombed(trial)?;
    let word = word_of(&agent)?;
    // Who is refused first may be faster than those who are not.
    until(patience(), || Ok(copies(trial, &word)? == limit))?;
    let count = copies(trial, &word)?;
    expect(count == limit, &format!("{limit} processes when the command can fork no more"), || {
        format!("there are {count}")
    })
}

/// The word that the command and all of its children have among their arguments.
fn word_of(agent: &Agent) -> Result<OsString> {
    agent.command.arguments()?.pop().context("the probe has no word")
}

/// How many processes of this command there are.
fn copies(trial: &Trial, word: &OsStr) -> Result<u64> {
    let word = word.to_str().context("the probe's word is no text")?;
    Ok(u64::try_from(trial.host.running(PROBE, word)?.len())?)
}

fn the_limit_is_the_groups_own(trial: &Trial) -> Held {
    let Limited { limit, group, agent: _agent } = Limited::start(trial)?;
    // Whether it comes too late is the next check's affair.
    until(MOMENT, || Ok(pids_limit(&group)? == Some(limit)))?;
    let found = pids_limit(&group)?;
    expect(
        found == Some(limit),
        &format!("pids.max of the container's group reads {limit}"),
        || found.map_or("it has no limit".into(), |found| format!("it reads {found}")),
    )?;
    let hosts = group_with(trial, &trial.start().agent_on_the_host()?.command, "pids")?;
    for directory in [&group.top, &hosts.directory] {
        // The root of all groups has no such file.
        let text = read(&directory.join("pids.max")).unwrap_or_default();
        expect(text.trim() != limit.to_string(), "no group of the host's has this limit", || {
            format!("pids.max of {} reads {text:?}", directory.display())
        })?;
    }
    Ok(())
}

fn the_limit_comes_before_the_command(trial: &Trial) -> Held {
    let limit = some_limit(trial);
    let options = ["--pids-limit", &limit.to_string()];
    let agent = not_before(trial, options, "pids", "pids.max")?;
    let found = pids_limit(&group_with(trial, &agent.command, "pids")?)?;
    expect(found == Some(limit), &format!("pids.max reads {limit} when the command runs"), || {
        format!("the limit is {found:?}")
    })
}

fn without_the_options_there_is_no_limit(trial: &Trial) -> Held {
    // Who does not know the option never sets a limit.
    let Limited { limit, group, agent: _agent } = Limited::start(trial)?;
    until(MOMENT, || Ok(pids_limit(&group)?.is_some()))?;
    let found = pids_limit(&group)?;
    expect(found.is_some(), &format!("with `--pids-limit {limit}` there is a limit"), || {
        "there is none".into()
    })?;
    let agent = trial.start().agent()?;
    let found = pids_limit(&group_with(trial, &agent.command, "pids")?)?;
    expect(found.is_none(), "pids.max of the group reads max", || format!("it reads {found:?}"))?;
    match io_group(trial, &agent.command) {
        Err(Broken::Unsupported(_)) => Ok(()),
        group => {
            let limits = write_limits(&group?)?;
            expect(limits.is_empty(), "no disk has a limit", || format!("they are {limits:?}"))
        }
    }
}

fn others_can_still_fork(trial: &Trial) -> Held {
    let _bombed = Limited::bombed(trial)?;
    trial.start().agent_on_the_host()?.must("orphan")?;
    Limited::start(trial)?.agent.must("orphan").map(drop)
}

fn nothing_is_left_of_a_fork_bomb(trial: &Trial) -> Held {
    let bombed = Limited::bombed(trial)?;
    let (directory, word) = (bombed.directory(), word_of(&bombed.agent)?);
    has_status(&bombed.agent.exit(0)?, &[0], "a command that exits with 0")?;
    let left = copies(trial, &word)?;
    expect(left == 0, "no process is left", || format!("there are {left}"))?;
    expect(!directory.exists(), "the group is gone when the step has ended", || {
        format!("{} is there", directory.display())
    })
}

fn impossible_number_is_125(trial: &Trial) -> Held {
    // Who does not know the option refuses every value.
    Limited::start(trial)?;
    for number in ["0", "-1", "", "many", "16.5", "99999999999999999999"] {
        is_refused(trial, &format!("--pids-limit={number}"))?;
    }
    Ok(())
}

fn is_refused(trial: &Trial, option: &str) -> Held {
    let ending = trial.start().options([option]).command([trial.inside("probe")]).finish()?;
    refuses(&ending, &format!("`{option}`"))
}

fn the_bandwidth_stands_in_the_groups_file(trial: &Trial) -> Held {
    let disks = Disks::find(trial)?;
    let (mut options, mut due) = (Vec::new(), BTreeMap::new());
    for (disk, (unit, bytes)) in disks.all().zip([("mb", 1 << 20), ("kb", 1 << 10)]) {
        let number = trial.number(2..1000);
        options.push("--device-write-bps".to_owned());
        options.push(format!("{}:{number}{unit}", disk.node.display()));
        due.insert(disk.number.clone(), u64::from(number.cast_unsigned()) * bytes);
    }
    let agent = trial.start().options(&options).agent()?;
    let group = io_group(trial, &agent.command)?;
    // As with the processes.
    until(MOMENT, || Ok(write_limits(&group)? == due))?;
    let limits = write_limits(&group)?;
    expect(limits == due, &format!("bytes a second for each disk: {due:?}"), || {
        format!("they are {limits:?}")
    })
}

/// The disks that a limit can be set for.
struct Disks {
    own: Option<OwnDisk>,
    hosts: Option<Disk>,
}

impl Disks {
    fn find(trial: &Trial) -> Result<Disks, Broken> {
        io_group(trial, &Process::host(trial.host)?)?;
        let hosts = Disk::of_the_host()?;
        let own = match OwnDisk::make() {
            Err(Broken::Unsupported(_)) if hosts.is_some() => None,
            own => Some(own?),
        };
        Ok(Disks { own, hosts })
    }

    fn all(&self) -> impl Iterator<Item = &Disk> {
        self.own.iter().map(|own| &own.disk).chain(&self.hosts)
    }

    /// The device node of one.
    fn node(&self) -> Result<String> {
        Ok(self.all().next().context("there is a disk")?.node.display().to_string())
    }
}

/// The group of a process in the hierarchy that limits the writes, under either of its names.
fn io_group(trial: &Trial, process: &Process) -> Result<Group, Broken> {
    let is_unified = groups(trial, process)?.values().any(Group::is_unified);
    group_with(trial, process, if is_unified { "io" } else { "blkio" })
}

fn writes_take_their_time(trial: &Trial) -> Held {
    io_group(trial, &Process::host(trial.host)?)?;
    let own = OwnDisk::make()?;
    let rate = trial.number(1 << 10..4 << 10);
    let option = format!("--device-write-bps={}:{rate}kb", own.disk.node.display());
    // A step that refuses the option must not say so on the disk, where nobody reads it.
    trial.start().options([&option]).agent()?;
    let mut agent = trial.start().options([&option]).standard_error(own.open_direct()?).agent()?;
    let group = io_group(trial, &agent.command)?;
    // As with the processes.
    until(MOMENT, || Ok(!write_limits(&group)?.is_empty()))?;
    let bytes = (rate << 10) * WRITING;
    let begun = Instant::now();
    agent.must(&format!("store {bytes}"))?;
    let took = begun.elapsed();
    let written = bytes_written(&group, &own.disk.number)?;
    expect(
        written >= u64::from(bytes.cast_unsigned()),
        "the group's account has the bytes",
        || format!("{bytes} were written, and it has {written}"),
    )?;
    let least = f64::from(WRITING) / 1.1;
    expect(took.as_secs_f64() >= least, &format!("writing takes {least:.1} s or more"), || {
        format!("{bytes} bytes took {:.1} s", took.as_secs_f64())
    })
}

fn impossible_bandwidth_is_125(trial: &Trial) -> Held {
    let disk = Disks::find(trial)?;
    let disk = disk.node()?;
    // Who does not know the option refuses every value.
    trial.start().options([format!("--device-write-bps={disk}:1mb")]).agent()?;
    let rates = ["0", "-1", "fast", "1light-year", ""];
    let places = ["/dev/null".into(), trial.rootfs.clone(), trial.outside(&trial.word())];
    let no_rates = rates.iter().map(|rate| format!("{disk}:{rate}"));
    let no_disks = places.iter().map(|place| format!("{}:1mb", place.display()));
    for value in no_rates.chain(no_disks).chain([disk.clone()]) {
        is_refused(trial, &format!("--device-write-bps={value}"))?;
    }
    Ok(())
}

fn a_limit_that_cannot_be_set_is_125(trial: &Trial) -> Held {
    let disks = Disks::find(trial)?;
    let rate = format!("{}:1mb", disks.node()?);
    let options = [["--pids-limit", "16"], ["--device-write-bps", &rate]];
    // Who does not know the options refuses them.
    trial.start().options(options.concat()).agent()?;
    options.into_iter().try_for_each(|option| is_refused_without_a_group(trial, option))
}
