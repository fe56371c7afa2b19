//! Step 13: how many processes, and how fast to a disk.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use super::Check;
use super::fork_exec::{has_status, refuses};
use crate::judge::agent::Agent;
use crate::judge::disk::{Disk, OwnDisk};
use crate::judge::gate::Gate;
use crate::judge::groups::{Group, groups};
use crate::judge::kernel::Process;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, expect};
use crate::judge::wait::{PATIENCE, until};

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

/// Longer than this we do not wait for a command that runs too early; one that does not is late by
/// as much.
const HOLD: Duration = Duration::from_millis(300);

/// How long writing takes, if the rate is kept.
const WRITING: i32 = 2;

/// A container with a limit on processes.
struct Limited<'t> {
    agent: Agent<'t>,
    limit: u64,
    group: Group,
}

impl<'t> Limited<'t> {
    fn start(trial: &'t Trial) -> Result<Limited<'t>, Broken> {
        has_controller(trial, PIDS)?;
        let limit = trial.number(12..40);
        let agent = trial.start().options(["--pids-limit", &limit.to_string()]).agent()?;
        let group = group_of(trial, &agent.command, PIDS)?;
        Ok(Limited { agent, limit: u64::from(limit.cast_unsigned()), group })
    }

    /// One that is full.
    fn bombed(trial: &'t Trial) -> Result<Limited<'t>, Broken> {
        let mut limited = Limited::start(trial)?;
        limited.agent.must("bomb")?;
        Ok(limited)
    }

    fn number(&self, file: &str) -> Result<u64> {
        let text = read(&self.group.directory.join(file))?;
        text.trim().parse().with_context(|| format!("{file} is {text:?}"))
    }
}

/// A controller, by its names in version 2 and in version 1.
type Controller = [&'static str; 2];
const PIDS: Controller = ["pids", "pids"];
const IO: Controller = ["io", "blkio"];

fn a_fork_bomb_stops_at_the_limit(trial: &Trial) -> Held {
    let bombed = Limited::bombed(trial)?;
    let events = read(&bombed.group.directory.join("pids.events"))?;
    let refused = events.lines().any(|line| line.starts_with("max ") && line != "max 0");
    expect(refused, "pids.events of the container's group counts the refused forks", || {
        format!("it reads {events:?}")
    })?;
    // Before Linux 6.1 the group does not remember how many there were.
    let has_peak = bombed.group.directory.join("pids.peak").exists();
    let file = if has_peak { "pids.peak" } else { "pids.current" };
    let most = bombed.number(file)?;
    expect(most <= bombed.limit, &format!("at most {} processes", bombed.limit), || {
        format!("{file} of the container's group reads {most}")
    })
}

fn just_as_many_as_asked_for(trial: &Trial) -> Held {
    let Limited { agent, limit, .. } = Limited::bombed(trial)?;
    let word = word_of(&agent)?;
    // Who is refused first may be faster than those who are not.
    until(PATIENCE, || Ok(copies(trial, &word)? == limit))?;
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
    Ok(u64::try_from(trial.host.running(trial.probe, word)?.len())?)
}

fn the_limit_is_the_groups_own(trial: &Trial) -> Held {
    let Limited { limit, group, agent: _agent } = Limited::start(trial)?;
    let text = read(&group.directory.join("pids.max"))?;
    expect(
        text.trim() == limit.to_string(),
        &format!("pids.max of the group reads {limit}"),
        || format!("it reads {:?}", text.trim()),
    )?;
    let above = group.directory.ancestors().skip(1);
    for group in above.take_while(|directory| directory.starts_with(&group.top)) {
        // The root of the hierarchy has no such file.
        let text = read(&group.join("pids.max")).unwrap_or_default();
        expect(text.trim() != limit.to_string(), "no group above it has this limit", || {
            format!("pids.max of {} reads {text:?}", group.display())
        })?;
    }
    Ok(())
}

fn the_limit_comes_before_the_command(trial: &Trial) -> Held {
    has_controller(trial, PIDS)?;
    let place = group_of(trial, &Process::host(trial.host)?, PIDS)?.top;
    let gate = Gate::close(trial, &place, "pids.max")?;
    let limit = trial.number(12..40).to_string();
    let starting = trial.start().options(["--pids-limit", &limit]).begin()?;
    let moment = Duration::from_millis(2);
    let deadline = Instant::now() + PATIENCE;
    while !gate.holds_somebody(moment)? && !starting.stirs(moment)? && Instant::now() < deadline {}
    let is_early = gate.holds_somebody(Duration::ZERO)? && starting.stirs(HOLD)?;
    drop(gate);
    let agent = starting.ready()?;
    expect(!is_early, "the command does not run before pids.max is written", || {
        "it ran while whoever opened pids.max was held".into()
    })?;
    let text = read(&group_of(trial, &agent.command, PIDS)?.directory.join("pids.max"))?;
    expect(text.trim() == limit, &format!("pids.max reads {limit} when the command runs"), || {
        format!("it reads {:?}", text.trim())
    })
}

fn without_the_options_there_is_no_limit(trial: &Trial) -> Held {
    // Who does not know the option never sets a limit.
    the_limit_is_the_groups_own(trial)?;
    let agent = trial.start().agent()?;
    let text = read(&group_of(trial, &agent.command, PIDS)?.directory.join("pids.max"))?;
    expect(text.trim() == "max", "pids.max of the group reads max", || {
        format!("it reads {text:?}")
    })?;
    if has_controller(trial, IO).is_ok() {
        let rates = write_rates(&group_of(trial, &agent.command, IO)?)?;
        expect(rates.is_empty(), "no disk has a limit", || format!("it has {rates:?}"))?;
    }
    Ok(())
}

fn others_can_still_fork(trial: &Trial) -> Held {
    let _bombed = Limited::bombed(trial)?;
    let mut host = trial.start().agent_on_the_host()?;
    host.must("orphan")?;
    let mut other = Limited::start(trial)?;
    other.agent.must("orphan").map(drop)
}

fn nothing_is_left_of_a_fork_bomb(trial: &Trial) -> Held {
    let Limited { agent, group, .. } = Limited::bombed(trial)?;
    let word = word_of(&agent)?;
    has_status(&agent.exit(0)?, &[0], "a command that exits with 0")?;
    let left = copies(trial, &word)?;
    expect(left == 0, "no process is left", || format!("there are {left}"))?;
    expect(!group.directory.exists(), "the group is gone when the step has ended", || {
        format!("{} is there", group.directory.display())
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
    refuses(&ending, option)
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
    let rates = write_rates(&group_of(trial, &agent.command, IO)?)?;
    expect(rates == due, &format!("bytes a second for each disk: {due:?}"), || {
        format!("they are {rates:?}")
    })
}

/// The disks that a limit can be set for.
struct Disks {
    own: Option<OwnDisk>,
    hosts: Option<Disk>,
}

impl Disks {
    fn find(trial: &Trial) -> Result<Disks, Broken> {
        has_controller(trial, IO)?;
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
}

fn writes_take_their_time(trial: &Trial) -> Held {
    has_controller(trial, IO)?;
    let own = OwnDisk::make()?;
    let rate = trial.number(1 << 10..4 << 10);
    let option = format!("--device-write-bps={}:{rate}kb", own.disk.node.display());
    // A step that refuses the option must not say so on the disk, where nobody reads it.
    trial.start().options([&option]).agent()?;
    let mut agent = trial.start().options([&option]).standard_error(own.open_direct()?).agent()?;
    let bytes = (rate << 10) * WRITING;
    let begun = Instant::now();
    agent.must(&format!("store {bytes}"))?;
    let took = begun.elapsed();
    let group = group_of(trial, &agent.command, IO)?;
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
    let disks = Disks::find(trial)?;
    let disk = disks.all().next().context("there is a disk")?.node.display();
    // Who does not know the option refuses every value.
    trial.start().options([format!("--device-write-bps={disk}:1mb")]).agent()?;
    let rates = ["0", "-1", "fast", "1light-year", ""];
    let places = ["/dev/null".into(), trial.rootfs.clone(), trial.outside(&trial.word())];
    let no_rates = rates.iter().map(|rate| format!("{disk}:{rate}"));
    let no_disks = places.iter().map(|place| format!("{}:1mb", place.display()));
    for value in no_rates.chain(no_disks).chain([disk.to_string()]) {
        is_refused(trial, &format!("--device-write-bps={value}"))?;
    }
    Ok(())
}

fn a_limit_that_cannot_be_set_is_125(trial: &Trial) -> Held {
    let disks = Disks::find(trial)?;
    let disk = disks.all().next().context("there is a disk")?.node.display();
    // Who does not know the options refuses them.
    let options = ["--pids-limit=16".to_owned(), format!("--device-write-bps={disk}:1mb")];
    trial.start().options(&options).agent()?;
    for group in groups(trial, &Process::host(trial.host)?)?.values() {
        make_read_only(&group.top)?;
    }
    trial.start().agent()?;
    options.iter().try_for_each(|option| is_refused(trial, option))
}

fn make_read_only(mount_point: &Path) -> Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(None::<&str>, mount_point, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("remount {} read-only", mount_point.display()))
}

/// Whether the groups of this throw-away host have the controller.
fn has_controller(trial: &Trial, controller: Controller) -> Held {
    let host = group_of(trial, &Process::host(trial.host)?, controller)?;
    let [name, _] = controller;
    // On version 1 a hierarchy has no other groups.
    let is_there = !host.controllers.is_empty()
        || read(&host.top.join("cgroup.controllers"))?.split_whitespace().any(|it| it == name);
    if is_there {
        return Ok(());
    }
    let reason = format!(
        "the control groups have no controller `{name}` here (see `cargo workshop doctor`)"
    );
    Err(Broken::Unsupported(reason))
}

/// The group of a process in the hierarchy that has the controller.
fn group_of(trial: &Trial, process: &Process, [_, v1]: Controller) -> Result<Group, Broken> {
    let has = |group: &Group| {
        group.controllers.is_empty() || group.controllers.split(',').any(|name| name == v1)
    };
    groups(trial, process)?.into_values().find(has).ok_or_else(|| {
        Broken::Unsupported(format!("no hierarchy with the controller `{v1}` is mounted"))
    })
}

/// How many bytes a second the group may write to each disk that has a limit.
fn write_rates(group: &Group) -> Result<BTreeMap<String, u64>> {
    let is_v1 = !group.controllers.is_empty();
    let file = if is_v1 { "blkio.throttle.write_bps_device" } else { "io.max" };
    let text = read(&group.directory.join(file))?;
    let rate = |line: &str| -> Option<(String, u64)> {
        let (disk, limits) = line.split_once(' ')?;
        let named = limits.split(' ').find_map(|limit| limit.strip_prefix("wbps="));
        Some((disk.to_owned(), if is_v1 { limits } else { named? }.parse().ok()?))
    };
    Ok(text.lines().filter_map(rate).collect())
}

/// How many bytes the group has written to a disk, by the kernel's account.
fn bytes_written(group: &Group, disk: &str) -> Result<u64> {
    let is_v1 = !group.controllers.is_empty();
    let file = if is_v1 { "blkio.throttle.io_service_bytes" } else { "io.stat" };
    let prefix = if is_v1 { "Write " } else { "wbytes=" };
    let text = read(&group.directory.join(file))?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(disk)?.strip_prefix(' '));
    let count = |line: &str| {
        let number = line.split_once(prefix)?.1;
        number.split(' ').next()?.parse().ok()
    };
    Ok(lines.find_map(count).unwrap_or(0))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
}
