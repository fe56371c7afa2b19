//! Step 14: a root made of layers.

use std::ffi::OsString;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::slice;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::sys::stat::{FileStat, Mode, SFlag, makedev, mknod, stat};
use rustix::fs::{XattrFlags, lsetxattr};

use super::Check;
use super::fork_exec::{has_status, refuses};
use crate::judge::agent::Agent;
use crate::judge::start::Start;
use crate::judge::tree;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, expect};

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "overlay/lower-layers-never-change",
        asserts: "Whatever the command changes, ROOTFS stays as it is.",
        read: "overlayfs.rst of the kernel: changes go to upperdir, after a copy up if it takes one",
        holds: lower_layers_never_change,
    },
    Check {
        name: "overlay/the-upper-layer-wins",
        asserts: "Of files with one name the uppermost is seen, and directories are merged.",
        read: "overlayfs.rst, Upper and Lower: in lowerdir= the first is the uppermost",
        holds: the_upper_layer_wins,
    },
    Check {
        name: "overlay/whiteouts-hide",
        asserts: "A whiteout, a character device 0:0, hides what has its name further down.",
        read: "overlayfs.rst, whiteouts and opaque directories",
        holds: whiteouts_hide,
    },
    Check {
        name: "overlay/opaque-directories-hide",
        asserts: "An opaque directory hides what is in those of its name further down.",
        read: "overlayfs.rst: trusted.overlay.opaque, in a user namespace user.overlay.opaque \
               (userxattr)",
        holds: opaque_directories_hide,
    },
    Check {
        name: "overlay/what-is-removed-stays-removed",
        asserts: "A directory of a lower layer that is removed and made anew is empty.",
        read: "overlayfs.rst: an overlay needs extended attributes to remember that",
        holds: what_is_removed_stays_removed,
    },
    Check {
        name: "overlay/two-containers-share-a-lower",
        asserts: "Two containers of the same layers run side by side, each with its own changes.",
        read: "overlayfs.rst: lower layers may be shared, upperdir and workdir may not",
        holds: two_containers_share_a_lower,
    },
    Check {
        name: "overlay/the-writable-layer-is-thrown-away",
        asserts: "Without `--upper` the next container finds no change of an earlier one.",
        read: "the contract, step 14: a writable layer of its own for each run",
        holds: the_writable_layer_is_thrown_away,
    },
    Check {
        name: "overlay/upper-is-kept",
        asserts: "With `--upper DIR` the next container with this DIR finds all changes, no other.",
        read: "the contract, step 14: upperdir lies in DIR, and so does workdir",
        holds: upper_is_kept,
    },
    Check {
        name: "overlay/a-copy-keeps-its-attributes",
        asserts: "A file that is copied up keeps content, mode, group, time and attributes.",
        read: "overlayfs.rst, Non-directories: what a copy up takes along",
        holds: a_copy_keeps_its_attributes,
    },
    Check {
        name: "overlay/many-layers-at-long-paths",
        asserts: "87, 120 and 300 layers with long names are all visible, and the top is writable.",
        read: "mount(2) cuts its options at one page, in silence; fsconfig(2): lowerdir+, or \
               shorter names",
        holds: many_layers_at_long_paths,
    },
    Check {
        name: "overlay/a-colon-can-be-escaped",
        asserts: "`\\:` in the list is a colon in a name, and `\\\\` a backslash.",
        read: "the contract, step 14: the list is written as lowerdir= is",
        holds: a_colon_can_be_escaped,
    },
    Check {
        name: "overlay/impossible-layers-are-125",
        asserts: "A list with a gap, a missing directory, a file or one directory twice, and an \
                  upper layer that is a file or lies in a lower one, give status 125 and one line.",
        read: "the contract, step 14; ENOTDIR and ELOOP in mount(2)",
        holds: impossible_layers_are_125,
    },
    Check {
        name: "overlay/etc-has-the-containers-names",
        asserts: "/etc/hostname, /etc/hosts and /etc/resolv.conf are the container's, in no layer \
                  that stays.",
        read: "the contract, step 14: a layer between ROOTFS and the writable one",
        holds: etc_has_the_containers_names,
    },
    Check {
        name: "overlay/an-ordinary-user-has-layers-too",
        asserts: "An ordinary user runs a container of several layers, and changes none.",
        read: "overlayfs.rst, userxattr; user namespaces may mount overlays since Linux 5.11",
        holds: an_ordinary_user_has_layers_too,
    },
];

/// An extended attribute that everybody may give to his files.
const ATTRIBUTE: &str = "user.word";

/// A new, empty layer.
fn layer(trial: &Trial) -> Result<PathBuf> {
    let path = trial.rootfs.with_file_name(trial.word());
    fs::create_dir(&path).with_context(|| format!("mkdir {}", path.display()))?;
    Ok(path)
}

/// The list of these layers, the uppermost first, and ROOTFS at the bottom.
fn upon_rootfs(trial: &Trial, uppers: &[PathBuf]) -> OsString {
    let mut list = OsString::new();
    for upper in uppers {
        list.push(upper);
        list.push(":");
    }
    list.push(&trial.rootfs);
    list
}

/// A start with these layers upon ROOTFS.
fn start<'t>(trial: &'t Trial, uppers: &[PathBuf]) -> Start<'t> {
    trial.start().rootfs(upon_rootfs(trial, uppers))
}

fn write(dir: &Path, name: &str, text: &str) -> Result<()> {
    fs::write(dir.join(name), text).with_context(|| format!("write {name} in a layer"))
}

/// The container has a file with this content, and nothing else, at `/name`.
pub fn shows(agent: &Agent, name: &str, due: &str, what: &str) -> Held {
    let found = agent.command.read(&format!("root/{name}"));
    let is_due = found.as_ref().is_ok_and(|found| found == due.as_bytes());
    expect(is_due, &format!("/{name} inside is {what}"), || match found {
        Ok(found) => format!("it reads {:?}, not {due:?}", String::from_utf8_lossy(&found)),
        Err(error) => format!("{error:#}"),
    })
}

/// The container has nothing at `/name`.
pub fn lacks(agent: &Agent, name: &str, why: &str) -> Held {
    let found = agent.command.stat_inside(name);
    expect(found.is_err(), &format!("there is no /{name} inside: {why}"), || "it is there".into())
}

/// The container has just these names in `/name`, in any order.
pub fn lists(agent: &Agent, name: &str, due: &[&str], what: &str) -> Held {
    let mut found = agent.command.list_inside(name)?;
    found.retain(|name| name != "." && name != "..");
    found.sort_unstable();
    let mut due = due.to_vec();
    due.sort_unstable();
    expect(found == due, &format!("/{name} inside holds {due:?}: {what}"), || format!("{found:?}"))
}

/// What is in a layer, in words that can be compared, with the content of one file.
fn state_of(layer: &Path, file: &str) -> Result<String> {
    let content = fs::read(layer.join(file)).context("read a file of a layer")?;
    Ok(format!("{:#?}\n{content:?}", tree::list(layer, usize::MAX)))
}

fn is_unchanged(layer: &Path, file: &str, before: &str) -> Held {
    let now = state_of(layer, file).unwrap_or_else(|error| format!("{error:#}"));
    expect(now == before, "the layer is as it was before", || {
        let different = now.lines().zip(before.lines()).find(|(now, before)| now != before);
        format!("it differs (now, before): {different:?}")
    })
}

/// Does to what lies in the layers all that can be done with files.
fn change_all(agent: &mut Agent, file: &str, gone: &str, made: &str) -> Result<String, Broken> {
    agent.must(&format!("write /{file} changed"))?;
    agent.must(&format!("chown /{file} 0"))?;
    agent.must(&format!("unlink /{gone}"))?;
    agent.must(&format!("mkdir /{made}"))
}

fn lower_layers_never_change(trial: &Trial) -> Held {
    let [file, gone, made] = [trial.word(), trial.word(), trial.word()];
    for name in [&file, &gone] {
        write(&trial.rootfs, name, "before")?;
    }
    let before = state_of(&trial.rootfs, &file)?;
    let mut agent = trial.start().agent()?;
    change_all(&mut agent, &file, &gone, &made)?;
    shows(&agent, &file, "changed", "what the command has written")?;
    lacks(&agent, &gone, "the command has removed it")?;
    is_unchanged(&trial.rootfs, &file, &before)?;
    has_status(&agent.exit(0)?, &[0], "a command that exits with 0")?;
    is_unchanged(&trial.rootfs, &file, &before)
}

fn the_upper_layer_wins(trial: &Trial) -> Held {
    let layers = [layer(trial)?, layer(trial)?];
    let [top, middle] = &layers;
    let [all, two, dir] = [trial.word(), trial.word(), trial.word()];
    for (dir_of, text) in [(top, "top"), (middle, "middle"), (&trial.rootfs, "bottom")] {
        write(dir_of, &all, text)?;
        fs::create_dir(dir_of.join(&dir)).context("mkdir")?;
        write(&dir_of.join(&dir), text, text)?;
    }
    write(middle, &two, "middle")?;
    write(&trial.rootfs, &two, "bottom")?;
    let agent = start(trial, &layers).agent()?;
    shows(&agent, &all, "top", "the one of the uppermost layer")?;
    shows(&agent, &two, "middle", "the one of the upper of the two layers that have it")?;
    lists(&agent, &dir, &["top", "middle", "bottom"], "directories are merged")
}

fn whiteouts_hide(trial: &Trial) -> Held {
    let layers = [layer(trial)?];
    let [file, dir, other] = [trial.word(), trial.word(), trial.word()];
    write(&trial.rootfs, &file, "below")?;
    write(&trial.rootfs, &other, "below")?;
    fs::create_dir(trial.outside(&dir)).context("mkdir")?;
    for name in [&file, &dir] {
        make_whiteout(&layers[0].join(name))?;
    }
    let agent = start(trial, &layers).agent()?;
    shows(&agent, &other, "below", "the one that nothing hides")?;
    lacks(&agent, &file, "the upper layer has a whiteout in its place")?;
    lacks(&agent, &dir, "the upper layer has a whiteout in its place")
}

/// Since Linux 5.8 this needs no privilege: it is no device.
fn make_whiteout(path: &Path) -> Result<()> {
    mknod(path, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0)).context("mknod a whiteout")
}

fn opaque_directories_hide(trial: &Trial) -> Held {
    let layers = [layer(trial)?];
    let dir = trial.word();
    let (above, below) = (layers[0].join(&dir), trial.outside(&dir));
    fs::create_dir(&above).context("mkdir")?;
    fs::create_dir(&below).context("mkdir")?;
    write(&above, "above", "")?;
    write(&below, "below", "")?;
    make_opaque(&above)?;
    lists(&start(trial, &layers).agent()?, &dir, &["above"], "the upper directory is opaque")
}

/// By the kernel's own attribute, or where only root of a user namespace can be had, by the other.
pub fn make_opaque(directory: &Path) -> Held {
    let set = |prefix| {
        lsetxattr(directory, format!("{prefix}.overlay.opaque"), b"y", XattrFlags::empty())
    };
    if set("trusted").or_else(|_| set("user")).is_err() {
        let reason = "tmpfs has no attributes of users here, and trusted ones are for root";
        return Err(Broken::Unsupported(reason.into()));
    }
    Ok(())
}

fn what_is_removed_stays_removed(trial: &Trial) -> Held {
    // An overlay remembers it by the very attribute.
    make_opaque(&layer(trial)?)?;
    let [dir, file] = [trial.word(), trial.word()];
    fs::create_dir(trial.outside(&dir)).context("mkdir")?;
    write(&trial.outside(&dir), &file, "below")?;
    let before = state_of(&trial.rootfs, &format!("{dir}/{file}"))?;
    let mut agent = trial.start().agent()?;
    agent.must(&format!("unlink /{dir}/{file}"))?;
    agent.must(&format!("rmdir /{dir}"))?;
    lacks(&agent, &dir, "the command has removed it")?;
    agent.must(&format!("mkdir /{dir}"))?;
    lists(&agent, &dir, &[], "the command has just made it")?;
    is_unchanged(&trial.rootfs, &format!("{dir}/{file}"), &before)
}

fn two_containers_share_a_lower(trial: &Trial) -> Held {
    let layers = [layer(trial)?];
    let [file, gone, made] = [trial.word(), trial.word(), trial.word()];
    write(&layers[0], &file, "before")?;
    write(&trial.rootfs, &gone, "before")?;
    let before = state_of(&layers[0], &file)?;
    let (mut one, other) = (start(trial, &layers).agent()?, start(trial, &layers).agent()?);
    change_all(&mut one, &file, &gone, &made)?;
    shows(&one, &file, "changed", "what its command has written")?;
    shows(&other, &file, "before", "untouched by another container")?;
    shows(&other, &gone, "before", "untouched by another container")?;
    lacks(&other, &made, "another container has made it for itself")?;
    is_unchanged(&layers[0], &file, &before)
}

fn the_writable_layer_is_thrown_away(trial: &Trial) -> Held {
    let [file, gone, made] = [trial.word(), trial.word(), trial.word()];
    write(&trial.rootfs, &file, "before")?;
    write(&trial.rootfs, &gone, "before")?;
    let mut agent = trial.start().agent()?;
    change_all(&mut agent, &file, &gone, &made)?;
    has_status(&agent.exit(0)?, &[0], "a command that exits with 0")?;
    let next = trial.start().agent()?;
    shows(&next, &file, "before", "the one of ROOTFS, whatever an earlier container did")?;
    shows(&next, &gone, "before", "there again")?;
    lacks(&next, &made, "an earlier container made it")
}

fn upper_is_kept(trial: &Trial) -> Held {
    let [file, gone, made] = [trial.word(), trial.word(), trial.word()];
    write(&trial.rootfs, &file, "before")?;
    write(&trial.rootfs, &gone, "before")?;
    let (kept, other) = (layer(trial)?, layer(trial)?);
    let with = |upper: &Path| trial.start().options(["--upper".as_ref(), upper.as_os_str()]);
    let mut agent = with(&kept).agent()?;
    change_all(&mut agent, &file, &gone, &made)?;
    has_status(&agent.exit(0)?, &[0], "a command that exits with 0")?;
    let again = with(&kept).agent()?;
    shows(&again, &file, "changed", "what an earlier container with this DIR has written")?;
    lacks(&again, &gone, "an earlier container with this DIR has removed it")?;
    lists(&again, &made, &[], "an earlier container with this DIR has made it")?;
    let another = with(&other).agent()?;
    shows(&another, &file, "before", "the one of ROOTFS: this DIR is another")?;
    shows(&another, &gone, "before", "the one of ROOTFS: this DIR is another")
}

fn a_copy_keeps_its_attributes(trial: &Trial) -> Held {
    let name = trial.word();
    let file = trial.outside(&name);
    write(&trial.rootfs, &name, "content")?;
    // Without root of the host there is nobody else to whom it could belong.
    let _ = chown(&file, Some(1234), Some(5678));
    fs::set_permissions(&file, Permissions::from_mode(0o640)).context("chmod")?;
    let time = UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    let times = FileTimes::new().set_modified(time);
    File::open(&file).and_then(|file| file.set_times(times)).context("set the time of a file")?;
    // Before Linux 6.6 tmpfs has none.
    let word = trial.word();
    let set = lsetxattr(&file, ATTRIBUTE, word.as_bytes(), XattrFlags::empty());
    let attribute = set.is_ok().then(|| word.into_bytes());
    let before = stat(&file).context("stat a file")?;
    let mut agent = trial.start().agent()?;
    // Only its owner changes: the kernel has to copy the file for that, with all the rest.
    agent.must(&format!("chown /{name} 0"))?;
    shows(&agent, &name, "content", "the same as before")?;
    let rest = |stat: &FileStat| {
        (stat.st_mode, stat.st_gid, stat.st_size, (stat.st_mtime, stat.st_mtime_nsec))
    };
    let now = agent.command.stat_inside(&name)?;
    expect(
        rest(&now) == rest(&before),
        "mode, group, size and time of modification are the same after a chown inside",
        || format!("they are {:?}, and were {:?}", rest(&now), rest(&before)),
    )?;
    let copied = agent.command.attribute_inside(&name, ATTRIBUTE).ok();
    expect(copied == attribute, "an extended attribute is the same after a chown inside", || {
        format!("{ATTRIBUTE} is {copied:?}, and was {attribute:?}")
    })?;
    let below = stat(&file).context("stat a file")?;
    expect(below.st_uid == before.st_uid, "the owner of the file in the layer stays", || {
        format!("it is {}", below.st_uid)
    })
}

fn many_layers_at_long_paths(trial: &Trial) -> Held {
    let parent = layer(trial)?.join("a-name-that-takes-its-place".repeat(3));
    fs::create_dir(&parent).context("mkdir")?;
    let dir = trial.word();
    let mut layers = Vec::new();
    for number in 0..300 {
        let layer = parent.join(format!("layer-{number}"));
        fs::create_dir_all(layer.join(&dir)).context("mkdir")?;
        write(&layer.join(&dir), &number.to_string(), "")?;
        layers.push(layer);
    }
    for count in [87, 120, 300] {
        // ROOTFS is one of them.
        let mut agent = start(trial, &layers[..count - 1]).agent()?;
        let shown = agent.command.list_inside(&dir)?;
        let shown = shown.iter().filter(|name| !name.starts_with('.')).count();
        expect(shown == count - 1, &format!("of {count} layers every one is visible"), || {
            format!("in a directory to which each but the lowest adds a file there are {shown}")
        })?;
        agent.must(&format!("write /{} text", trial.word()))?;
    }
    Ok(())
}

fn a_colon_can_be_escaped(trial: &Trial) -> Held {
    let parent = layer(trial)?;
    let name = trial.word();
    write(&trial.rootfs, &name, "bottom")?;
    for (directory, escaped) in [("a:b", r"a\:b"), (r"a\b", r"a\\b"), ("a,b=c", "a,b=c")] {
        let layer = parent.join(directory);
        fs::create_dir(&layer).context("mkdir")?;
        write(&layer, &name, directory)?;
        let agent = start(trial, &[parent.join(escaped)]).agent()?;
        shows(&agent, &name, directory, &format!("that of the layer {directory}"))?;
    }
    Ok(())
}

fn impossible_layers_are_125(trial: &Trial) -> Held {
    let [one, other] = [layer(trial)?, layer(trial)?];
    let name = trial.word();
    write(&one, &name, "above")?;
    // A refusal proves nothing unless the step can do better.
    let kept: [OsString; 2] = ["--upper".into(), other.clone().into()];
    let agent = start(trial, slice::from_ref(&one)).options(&kept).agent()?;
    shows(&agent, &name, "above", "the one of the upper layer")?;
    drop(agent);

    let file = trial.outside("checks/probe");
    let lists = [
        ("an empty list", OsString::new()),
        ("a list with a gap", upon_rootfs(trial, &[PathBuf::new()])),
        ("a missing layer", upon_rootfs(trial, &[one.join("missing")])),
        ("a file as a layer", upon_rootfs(trial, slice::from_ref(&file))),
        ("the same layer twice", upon_rootfs(trial, &[one.clone(), one.clone()])),
    ];
    for (what, list) in lists {
        let ending = trial.start().rootfs(list).command([trial.inside("probe")]).finish()?;
        refuses(&ending, what)?;
    }
    let beneath = one.join("beneath");
    fs::create_dir(&beneath).context("mkdir")?;
    for (what, upper) in [("a file as --upper", &file), ("an --upper in a lower layer", &beneath)] {
        let start =
            start(trial, slice::from_ref(&one)).options(["--upper".as_ref(), upper.as_os_str()]);
        refuses(&start.command([trial.inside("probe")]).finish()?, what)?;
    }
    expect(tree::list(&beneath, 1).is_empty(), "a refused --upper stays empty", || {
        format!("{:?}", tree::list(&beneath, 1))
    })
}

fn etc_has_the_containers_names(trial: &Trial) -> Held {
    fs::create_dir_all(trial.outside("etc")).context("mkdir")?;
    write(&trial.outside("etc"), "hostname", "the-image")?;
    let before = state_of(&trial.rootfs, "etc/hostname")?;
    let kept = layer(trial)?;
    // The second time the names of the first would be found in the writable layer, had they been
    // written there.
    for name in [trial.word(), trial.word()] {
        let options: [OsString; 4] =
            ["--hostname".into(), name.clone().into(), "--upper".into(), kept.clone().into()];
        let agent = trial.start().options(options).agent()?;
        shows(&agent, "etc/hostname", &format!("{name}\n"), "the name of the container")?;
        let hosts = agent.command.text("root/etc/hosts").unwrap_or_default();
        expect(
            hosts.lines().any(|line| line.split_whitespace().skip(1).any(|word| word == name)),
            "/etc/hosts inside has an address for the name of the container",
            || format!("{hosts:?}"),
        )?;
        let resolver = agent.command.stat_inside("etc/resolv.conf");
        expect(resolver.is_ok(), "there is an /etc/resolv.conf inside", || "it is missing".into())?;
        has_status(&agent.exit(0)?, &[0], "a command that exits with 0")?;
    }
    is_unchanged(&trial.rootfs, "etc/hostname", &before)
}

fn an_ordinary_user_has_layers_too(trial: &Trial) -> Held {
    let layers = [layer(trial)?];
    let [file, gone, made] = [trial.word(), trial.word(), trial.word()];
    write(&layers[0], &file, "above")?;
    write(&trial.rootfs, &file, "below")?;
    write(&trial.rootfs, &gone, "below")?;
    let dir = trial.word();
    fs::create_dir(layers[0].join(&dir)).context("mkdir")?;
    fs::create_dir(trial.outside(&dir)).context("mkdir")?;
    write(&trial.outside(&dir), "below", "")?;
    make_whiteout(&layers[0].join(&dir).join("below"))?;
    let before = state_of(&trial.rootfs, &file)?;
    let mut agent = start(trial, &layers).by_an_ordinary_user().agent()?;
    shows(&agent, &file, "above", "the one of the upper layer")?;
    change_all(&mut agent, &file, &gone, &made)?;
    shows(&agent, &file, "changed", "what the command has written")?;
    lacks(&agent, &gone, "the command has removed it")?;
    // Before Linux 6.6 tmpfs has no attributes of users, and where the changes lie is the step's
    // affair.
    if lsetxattr(&layers[0], ATTRIBUTE, b"", XattrFlags::empty()).is_ok() {
        agent.must(&format!("rmdir /{dir}"))?;
        agent.must(&format!("mkdir /{dir}"))?;
        lists(&agent, &dir, &[], "the command has just made it")?;
    }
    is_unchanged(&trial.rootfs, &file, &before)
}
