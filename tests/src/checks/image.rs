//! Step 15: a root out of an image.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::stat::{SFlag, makedev};
use rustix::fs::{XattrFlags, lsetxattr};
use serde_json::json;
use tar::EntryType;

use super::Check;
use super::fork_exec::{has_status, refuses};
use super::overlay::{lacks, lists, make_opaque, shows};
use super::user_ns::has_many_ids;
use crate::judge::agent::Agent;
use crate::judge::archive::{About, Archive};
use crate::judge::image::{Form, Image, Layer, Packing, write_blob, write_index, write_layout};
use crate::judge::start::Start;
use crate::judge::tree;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, broken, expect};

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "image/the-upper-layer-wins",
        asserts: "The root has what all layers of the image have; of two files the upper is seen.",
        read: "layer.md of the OCI image specification; the manifest names the lowest layer first",
        holds: the_upper_layer_wins,
    },
    Check {
        name: "image/whiteouts-hide",
        asserts: "An entry `.wh.NAME` hides NAME of the layers below, and nothing of its own.",
        read: "layer.md, Whiteouts; for overlayfs a whiteout is a character device 0:0",
        holds: whiteouts_hide,
    },
    Check {
        name: "image/opaque-directories-hide",
        asserts: "`.wh..wh..opq` hides what the layers below have in its directory.",
        read: "layer.md, Opaque Whiteout; for overlayfs it is the attribute overlay.opaque",
        holds: opaque_directories_hide,
    },
    Check {
        name: "image/hard-links-are-one-file",
        asserts: "Two names of one file in a layer are two names of one file in the container.",
        read: "layer.md, Hardlinks; link(2)",
        holds: hard_links_are_one_file,
    },
    Check {
        name: "image/modes-are-kept",
        asserts: "Modes are those of the archive, set-uid, set-gid and sticky bit included, \
                  whatever the caller's umask; so are the times of files.",
        read: "chmod(2); chown(2) takes set-uid away, so it comes first",
        holds: modes_are_kept,
    },
    Check {
        name: "image/owners-are-kept",
        asserts: "Files and links belong to the users and groups of the archive.",
        read: "fchownat(2), AT_SYMLINK_NOFOLLOW; the numbers count, not the names",
        holds: owners_are_kept,
    },
    Check {
        name: "image/attributes-are-kept",
        asserts: "Extended attributes are those of the archive, security.capability among them.",
        read: "SCHILY.xattr.* in a PAX header; setxattr(2): chown(2) takes capabilities away",
        holds: attributes_are_kept,
    },
    Check {
        name: "image/the-last-of-two-entries-wins",
        asserts: "Where a layer has two entries of one name, the last one is what is there.",
        read: "the contract, step 15; tar(1) does the same",
        holds: the_last_of_two_entries_wins,
    },
    Check {
        name: "image/digests-are-verified",
        asserts: "A layer, configuration or manifest that is not what its digest says gives \
                  status 125, and nothing of it stays in the store.",
        read: "descriptor.md: verify; the diff id is the digest of the layer before compression",
        holds: digests_are_verified,
    },
    Check {
        name: "image/sizes-are-verified",
        asserts: "A layer with another size than its descriptor says gives status 125.",
        read: "descriptor.md, size",
        holds: sizes_are_verified,
    },
    Check {
        name: "image/damage-is-refused",
        asserts: "A layer that ends too early, is no archive or has a name above 4096 bytes gives \
                  status 125, though its digests are right.",
        read: "tar(5), checksum; gzip(1) and zstd(1) end with a checksum too; PATH_MAX",
        holds: damage_is_refused,
    },
    Check {
        name: "image/another-machine-is-refused",
        asserts: "An image for another architecture gives status 125.",
        read: "config.md, architecture and os",
        holds: another_machine_is_refused,
    },
    Check {
        name: "image/the-platform-is-chosen",
        asserts: "Of an index with images for several machines, the one for this one runs.",
        read: "image-index.md, platform",
        holds: the_platform_is_chosen,
    },
    Check {
        name: "image/no-name-leads-out",
        asserts: "Whatever names an archive has, nothing outside of the store changes.",
        read: "openat2(2), RESOLVE_BENEATH",
        holds: no_name_leads_out,
    },
    Check {
        name: "image/no-link-leads-out",
        asserts: "Wherever links of an archive lead, nothing outside of the store changes.",
        read: "openat2(2), RESOLVE_NO_SYMLINKS; link(2)",
        holds: no_link_leads_out,
    },
    Check {
        name: "image/all-forms-are-read",
        asserts: "A docker-archive and an OCI layout, as directory and as tar, run, with layers \
                  plain, by gzip and by zstd; PATH:TAG says which image.",
        read: "image-layout.md; docker-save(1); media-types.md",
        holds: all_forms_are_read,
    },
    Check {
        name: "image/two-share-one-store",
        asserts: "Two that unpack one image into one store at once both run it; what one changes \
                  the other and the next do not see.",
        read: "rename(2): what is whole appears at once; step 14",
        holds: two_share_one_store,
    },
    Check {
        name: "image/an-image-may-have-many-layers",
        asserts: "All 120 layers of an image are seen.",
        read: "step 14: layers whose names do not fit on one page",
        holds: an_image_may_have_many_layers,
    },
    Check {
        name: "image/devices-are-roots",
        asserts: "Device nodes are made as root, and left out where the caller may not make them.",
        read: "mknod(2); the contract, step 15",
        holds: devices_are_roots,
    },
];

/// ROOTFS, and these layers upon it, the lowest first; each is packed in some way.
fn image(trial: &Trial, archives: impl IntoIterator<Item = Archive>) -> Result<Image> {
    let mut layers = vec![trial.root_layer()?];
    for archive in archives {
        let ways = [Packing::Plain, Packing::Gzip, Packing::Zstd];
        let way = usize::try_from(trial.number(0..3)).unwrap_or(0);
        layers.push(Layer::new(archive, ways[way])?);
    }
    Ok(Image::new(layers))
}

/// A start of the step with this image.
fn start<'t>(trial: &'t Trial, image: &Image, form: Form) -> Result<Start<'t>> {
    let path = trial.new_image();
    image.write(&path, form)?;
    Ok(trial.start().rootfs(path))
}

/// A container of an image with these layers upon ROOTFS.
fn agent<'t>(
    trial: &'t Trial,
    archives: impl IntoIterator<Item = Archive>,
) -> Result<Agent<'t>, Broken> {
    start(trial, &image(trial, archives)?, Form::Layout)?.agent()
}

fn the_upper_layer_wins(trial: &Trial) -> Held {
    let [all, two, dir] = [trial.word(), trial.word(), trial.word()];
    let layer = |text: &str| {
        Archive::new().file(&all, text).directory(&dir).file(format!("{dir}/{text}"), text)
    };
    let layers =
        [layer("bottom").file(&two, "bottom"), layer("middle").file(&two, "middle"), layer("top")];
    let agent = agent(trial, layers)?;
    shows(&agent, &all, "top", "the one of the uppermost layer")?;
    shows(&agent, &two, "middle", "the one of the upper of the two layers that have it")?;
    lists(&agent, &dir, &["top", "middle", "bottom"], "directories are merged")
}

fn whiteouts_hide(trial: &Trial) -> Held {
    let [file, dir, same, other] = [trial.word(), trial.word(), trial.word(), trial.word()];
    let below = Archive::new()
        .file(&file, "below")
        .file(&other, "below")
        .file(&same, "below")
        .directory(&dir)
        .file(format!("{dir}/inner"), "below");
    let above = Archive::new()
        .file(&same, "above")
        .file(format!(".wh.{file}"), "")
        .file(format!(".wh.{dir}"), "")
        .file(format!(".wh.{same}"), "");
    let agent = agent(trial, [below, above])?;
    shows(&agent, &other, "below", "the one that nothing hides")?;
    lacks(&agent, &file, "the upper layer has a whiteout of it")?;
    lacks(&agent, &dir, "the upper layer has a whiteout of it")?;
    shows(&agent, &same, "above", "of the very layer that has a whiteout of those below")?;
    lacks(&agent, &format!(".wh.{file}"), "it says what is gone, and is no file")
}

fn opaque_directories_hide(trial: &Trial) -> Held {
    make_opaque(&scratch(trial)?)?;
    let dir = trial.word();
    let layer = |name: &str| Archive::new().directory(&dir).file(format!("{dir}/{name}"), name);
    let above = layer("above").file(format!("{dir}/.wh..wh..opq"), "").file(
        // What comes after the mark is not hidden by it either.
        format!("{dir}/after"),
        "after",
    );
    let agent = agent(trial, [layer("below"), above])?;
    lists(&agent, &dir, &["above", "after"], "the upper directory is opaque")
}

/// A new directory where images are.
fn scratch(trial: &Trial) -> Result<PathBuf> {
    let path = trial.new_image();
    fs::create_dir(&path).context("mkdir")?;
    Ok(path)
}

fn hard_links_are_one_file(trial: &Trial) -> Held {
    let [one, two] = [trial.word(), trial.word()];
    let layer = Archive::new()
        .file(&one, "linked")
        .directory("links")
        .hard_link(format!("links/{two}"), &one)
        .hard_link(format!("links/{one}"), format!("/{one}"));
    let agent = agent(trial, [layer])?;
    let first = agent.command.stat_inside(&one)?;
    for name in [format!("links/{two}"), format!("links/{one}")] {
        shows(&agent, &name, "linked", "the file that it links to")?;
        let other = agent.command.stat_inside(&name)?;
        let same = (first.st_ino, first.st_nlink) == (other.st_ino, other.st_nlink);
        expect(same && first.st_nlink == 3, &format!("/{one} and /{name} are one file"), || {
            let number = |stat: &nix::sys::stat::FileStat| (stat.st_ino, stat.st_nlink);
            format!("inode and number of names: {:?} and {:?}", number(&first), number(&other))
        })?;
    }
    Ok(())
}

fn modes_are_kept(trial: &Trial) -> Held {
    let name = trial.word();
    let mtime = u64::try_from(trial.number(1..i32::MAX)).unwrap_or(1);
    let entries = [
        (EntryType::Regular, 0o4751),
        (EntryType::Regular, 0o2666),
        (EntryType::Regular, 0o400),
        (EntryType::Directory, 0o1777),
        (EntryType::Directory, 0o2775),
        (EntryType::Fifo, 0o622),
    ];
    let mut layer = Archive::new();
    for (kind, mode) in entries {
        let about = About { mtime: (mtime, 0), ..About::new(kind, mode) };
        layer = layer.entry(format!("{name}-{mode:o}"), &about, b"");
    }
    let agent = agent(trial, [layer])?;
    for (kind, mode) in entries {
        let file = agent.command.stat_inside(&format!("{name}-{mode:o}"))?;
        let found = file.st_mode & 0o7777;
        expect(found == mode, &format!("the {kind:?} has the mode {mode:o}"), || {
            format!("it has {found:o}")
        })?;
        let is_due = file.st_mtime.unsigned_abs() == mtime;
        expect(is_due, &format!("the {kind:?} was last changed {mtime} s after 1970"), || {
            format!("at {}", file.st_mtime)
        })?;
    }
    Ok(())
}

fn owners_are_kept(trial: &Trial) -> Held {
    if !has_many_ids(trial)? {
        let reason = "here is only one user id, and nobody can own anything else";
        return Err(Broken::Unsupported(reason.into()));
    }
    let name = trial.word();
    let number = || u32::try_from(trial.number(1..60000)).unwrap_or(1);
    let owner = (number(), number());
    let kinds = [EntryType::Regular, EntryType::Directory, EntryType::Symlink];
    let mut layer = Archive::new();
    for kind in kinds {
        let about = About { owner, target: b"nowhere".to_vec(), ..About::new(kind, 0o755) };
        layer = layer.entry(format!("{name}-{kind:?}"), &about, b"");
    }
    let agent = agent(trial, [layer])?;
    for kind in kinds {
        let file = agent.command.lstat_inside(&format!("{name}-{kind:?}"))?;
        let found = (file.st_uid, file.st_gid);
        expect(found == owner, &format!("the {kind:?} belongs to {owner:?}"), || {
            format!("it belongs to {found:?}")
        })?;
    }
    Ok(())
}

/// `cap_net_raw=ep`, as `capabilities(7)` has it in a file: revision 2, effective.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn attributes_are_kept(trial: &Trial) -> Held {
    let (name, value) = (trial.word(), format!("{}\n{}", trial.word(), trial.word()));
    let all = [("user.word", value.as_bytes()), ("security.capability", &CAPABILITY)];
    // Before Linux 6.6 tmpfs has no attributes of users; capabilities are for root of the host.
    let file = scratch(trial)?.join("file");
    fs::write(&file, "").context("write a file")?;
    let possible = |attribute: &&(&str, &[u8])| {
        lsetxattr(&file, attribute.0, attribute.1, XattrFlags::empty()).is_ok()
            && (attribute.0.starts_with("user") || has_many_ids(trial).unwrap_or(false))
    };
    let all: Vec<_> = all.iter().filter(possible).collect();
    if all.is_empty() {
        return Err(Broken::Unsupported("tmpfs has no attributes of users here".into()));
    }
    let attributes = all.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
    let about = About { attributes, ..About::new(EntryType::Regular, 0o755) };
    let agent = agent(trial, [Archive::new().entry(&name, &about, b"x")])?;
    for (key, due) in all {
        let found = agent.command.attribute_inside(&name, key);
        let is_due = found.as_ref().is_ok_and(|found| found == due);
        expect(is_due, &format!("the file has the attribute {key} of the archive"), || {
            format!("{found:?}")
        })?;
    }
    Ok(())
}

fn the_last_of_two_entries_wins(trial: &Trial) -> Held {
    let [file, link, dir] = [trial.word(), trial.word(), trial.word()];
    let layer = Archive::new()
        .file(&file, "first, and longer")
        .file(&file, "last")
        .symlink(&link, &file)
        .file(&link, "a file now")
        .file(&dir, "a file")
        .directory(&dir)
        .file(format!("{dir}/inner"), "inner");
    let agent = agent(trial, [layer])?;
    shows(&agent, &file, "last", "the last of its entries")?;
    shows(&agent, &link, "a file now", "the last of its entries")?;
    shows(&agent, &format!("{dir}/inner"), "inner", "in what was a file before")
}

/// What is in the store of the trial.
fn store(trial: &Trial) -> BTreeMap<OsString, String> {
    tree::list(&trial.images().join("store"), usize::MAX)
}

/// The step refuses the image at `path`, and its store is as it was before.
fn is_refused(trial: &Trial, path: &Path, what: &str) -> Held {
    // A refusal proves nothing unless the step can do better; and then the store is there.
    let ending = trial.start().command([trial.inside("probe")]).finish()?;
    has_status(&ending, &[0], "a command in an image that is right")?;
    let before = store(trial);
    let ending = trial.start().rootfs(path).command([trial.inside("probe")]).finish()?;
    refuses(&ending, what)?;
    let now = store(trial);
    expect(now == before, &format!("nothing of {what} stays in the store"), || {
        let new = now.iter().find(|(name, about)| before.get(*name) != Some(about));
        format!("there is {new:?}")
    })
}

/// The same, of an image that can be written as it is.
fn is_refused_image(trial: &Trial, image: &Image, what: &str) -> Held {
    let path = trial.new_image();
    image.write(&path, Form::Layout)?;
    is_refused(trial, &path, what)
}

fn digests_are_verified(trial: &Trial) -> Held {
    let word = trial.word();
    for packing in [Packing::Plain, Packing::Gzip] {
        let right = Archive::new().file("file", format!("right {word}"));
        let wrong = Archive::new().file("file", format!("wrong {word}"));
        let (right, wrong) = (Layer::new(right, packing)?, Layer::new(wrong, packing)?);
        let mut image = image(trial, [])?;
        // The blob is as long as was promised, and a whole archive; but another.
        let size = wrong.size;
        image.layers.push(Layer { size, diff_id: wrong.diff_id.clone(), ..right.clone() });
        image.layers[1].blob.clone_from(&wrong.blob);
        is_refused_image(trial, &image, "a layer with a wrong digest")?;
        image.layers[1] = Layer { diff_id: right.diff_id, ..wrong };
        is_refused_image(trial, &image, "a layer with a wrong diff id")?;
    }
    for (what, from, to) in [
        ("a configuration with a wrong digest", r#""type":"layers""#, r#""type":"Layers""#),
        ("a manifest with a wrong digest", "oci.image.config.v1", "oci.image.config.v2"),
    ] {
        let path = trial.new_image();
        image(trial, [])?.write(&path, Form::Layout)?;
        replace_in_blobs(&path, from, to)?;
        is_refused(trial, &path, what)?;
    }
    Ok(())
}

/// Changes a document of a layout, which keeps its name and its size.
fn replace_in_blobs(layout: &Path, from: &str, to: &str) -> Result<()> {
    for entry in fs::read_dir(layout.join("blobs/sha256")).context("read the blobs")? {
        let path = entry.context("read the blobs")?.path();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if text.starts_with('{') {
            fs::write(&path, text.replace(from, to)).context("write a blob")?;
        }
    }
    Ok(())
}

fn sizes_are_verified(trial: &Trial) -> Held {
    for (what, difference) in [("a layer that is too short", 1), ("a layer that is too long", -1)] {
        let mut image = image(trial, [Archive::new().file("file", trial.word())])?;
        let size = &mut image.layers[1].size;
        *size = size.checked_add_signed(difference).unwrap_or(0);
        is_refused_image(trial, &image, what)?;
    }
    Ok(())
}

fn damage_is_refused(trial: &Trial) -> Held {
    let archive = || Archive::new().file("file", trial.word().repeat(1000)).bytes();
    let shorter = |bytes: &[u8]| bytes[..bytes.len() - bytes.len() / 3].to_vec();
    let mut wrong_header = archive();
    wrong_header[0] ^= 1;
    let long = "d/".repeat(2100);
    let mut cases = vec![
        ("an archive that ends too early", Layer::of_bytes(&shorter(&archive()), Packing::Plain)?),
        ("a header with a wrong checksum", Layer::of_bytes(&wrong_header, Packing::Gzip)?),
        ("something that is no archive", Layer::of_bytes(&[7; 2000], Packing::Zstd)?),
        ("a path above 4096 bytes", Layer::new(Archive::new().directory(&long), Packing::Plain)?),
    ];
    for (what, packing) in [
        ("gzip data that end too early", Packing::Gzip),
        ("zstd data that end too early", Packing::Zstd),
    ] {
        let whole = Layer::of_bytes(&archive(), packing)?;
        let cut = Layer::of_bytes(&shorter(&whole.blob), Packing::Plain)?;
        cases.push((what, Layer { diff_id: whole.diff_id, ..cut }));
    }
    for (what, layer) in cases {
        let layers = vec![trial.root_layer()?, layer];
        is_refused_image(trial, &Image::new(layers), what)?;
    }
    Ok(())
}

/// An architecture that no machine has on which this runs.
const FOREIGN: &str = "s390x";

fn another_machine_is_refused(trial: &Trial) -> Held {
    let mut image = image(trial, [])?;
    image.architecture = FOREIGN.into();
    for form in [Form::Layout, Form::Docker] {
        let path = trial.new_image();
        image.write(&path, form)?;
        is_refused(trial, &path, "an image for another architecture")?;
    }
    Ok(())
}

fn the_platform_is_chosen(trial: &Trial) -> Held {
    let word = trial.word();
    let mut foreign = image(trial, [Archive::new().file(&word, "foreign")])?;
    foreign.architecture = FOREIGN.into();
    let ours = image(trial, [Archive::new().file(&word, "ours")])?;
    let path = trial.new_image();
    let mut manifests = Vec::new();
    for image in [&foreign, &ours] {
        let mut manifest = image.write_blobs(&path)?;
        manifest["platform"] = json!({ "os": "linux", "architecture": image.architecture });
        manifests.push(manifest);
    }
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    // As registries have it: the layout's own index names one for all machines.
    let kind = "application/vnd.oci.image.index.v1+json";
    let inner = write_blob(&path, index.to_string().as_bytes(), kind)?;
    for index in [index, json!({ "schemaVersion": 2, "manifests": [inner] })] {
        write_index(&path, &index)?;
        let agent = trial.start().rootfs(&path).agent()?;
        shows(&agent, &word, "ours", "of the image for this machine")?;
    }
    Ok(())
}

fn no_name_leads_out(trial: &Trial) -> Held {
    let outside = scratch(trial)?;
    change_nothing(trial, &outside, names(trial, &outside))
}

fn no_link_leads_out(trial: &Trial) -> Held {
    let outside = scratch(trial)?;
    change_nothing(trial, &outside, links(trial, &outside))
}

/// Each of the archives is refused or unpacked, and `outside` stays as it is.
fn change_nothing(trial: &Trial, outside: &Path, archives: Vec<(&'static str, Archive)>) -> Held {
    fs::write(outside.join("victim"), "untouched").context("write a file")?;
    let ending = trial.start().command([trial.inside("probe")]).finish()?;
    has_status(&ending, &[0], "a command in an image that is harmless")?;
    let state = || {
        let roots = ["/", "/tmp", "/etc"].map(|path| tree::list(Path::new(path), 1));
        let victim = fs::read(outside.join("victim")).unwrap_or_default();
        format!("{roots:#?}\n{:#?}\n{victim:?}", tree::list(outside, usize::MAX))
    };
    for (what, archive) in archives {
        let path = trial.new_image();
        image(trial, [archive])?.write(&path, Form::Layout)?;
        let before = state();
        let ending = trial.start().rootfs(&path).command([trial.inside("probe")]).finish()?;
        if ending.status == 125 {
            refuses(&ending, what)?;
        } else {
            has_status(&ending, &[0], what)?;
        }
        let now = state();
        expect(now == before, &format!("{what} changes nothing outside of the store"), || {
            let different = now.lines().find(|line| !before.contains(line));
            format!("there is now {:?}", different.unwrap_or("less"))
        })?;
    }
    Ok(())
}

/// Archives with names that try to change something in `outside`.
fn names(trial: &Trial, outside: &Path) -> Vec<(&'static str, Archive)> {
    let new = Archive::new;
    let absolute = outside.display();
    let above = upwards(outside);
    let name = trial.word();
    let pipe = About::new(EntryType::Fifo, 0o644);
    let file = About::new(EntryType::Regular, 0o644);
    vec![
        ("a name with ..", new().file(format!("{above}/{name}"), "x")),
        ("a name with .. in the middle", {
            new().directory("a").file(format!("a/{above}/victim"), "x")
        }),
        ("a short name with ..", {
            new().file(format!("../{name}"), "x").directory(format!("../../{name}"))
        }),
        ("an absolute name", new().file(format!("{absolute}/victim"), "x")),
        ("a directory outside", new().directory(format!("{above}/{name}"))),
        ("a pipe outside", new().entry(format!("{above}/{name}"), &pipe, b"")),
        ("a whiteout outside", new().file(format!("{above}/.wh.victim"), "")),
        ("a whiteout of ..", new().directory("a").file("a/.wh...", "")),
        ("a name with a NUL in it", {
            new().entry([b"x\0".as_slice(), &[b'y'; 200]].concat(), &file, b"x")
        }),
    ]
}

/// The name of a directory, from far below.
fn upwards(directory: &Path) -> String {
    format!("{}{}", "../".repeat(40), directory.display().to_string().trim_start_matches('/'))
}

/// Archives with links by which they try it.
fn links(trial: &Trial, outside: &Path) -> Vec<(&'static str, Archive)> {
    let new = Archive::new;
    let absolute = outside.display().to_string();
    let victim = format!("{absolute}/victim");
    let above = upwards(outside);
    let name = trial.word();
    let mode = About::new(EntryType::Directory, 0o777);
    vec![
        ("a file through a link", new().symlink("l", &absolute).file("l/victim", "x")),
        ("a file through a link upwards", new().symlink("l", &above).file("l/victim", "x")),
        ("a directory through a link", {
            new().symlink("l", &absolute).directory(format!("l/{name}"))
        }),
        ("a link as the file itself", new().symlink("l", &victim).file("l", "x")),
        ("a directory that becomes a link", {
            new().directory("d").symlink("d", &absolute).file("d/victim", "x")
        }),
        ("a mode through a link", {
            new().symlink("l", &absolute).entry("l/", &mode, b"").entry("l/.", &mode, b"")
        }),
        ("a hard link to a file outside", new().hard_link("h", &victim).file("h", "x")),
        ("a hard link with ..", new().hard_link("h", format!("{above}/victim")).file("h", "x")),
        ("a hard link through a link", {
            new().symlink("l", &absolute).hard_link("h", "l/victim").file("h", "x")
        }),
        ("a whiteout through a link", new().symlink("l", &absolute).file("l/.wh.victim", "")),
        ("a mark of opacity through a link", {
            new().symlink("l", &absolute).file("l/.wh..wh..opq", "")
        }),
        ("a link of /proc", {
            new().symlink("l", "/proc/self/root").file(format!("l{victim}"), "x")
        }),
    ]
}

fn all_forms_are_read(trial: &Trial) -> Held {
    let name = trial.word();
    for form in [Form::Layout, Form::LayoutArchive, Form::Docker, Form::DockerArchive] {
        let mut layers = vec![trial.root_layer()?];
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
            let file = format!("{name}-{packing:?}");
            layers.push(Layer::new(Archive::new().file(file, format!("{form:?}")), packing)?);
        }
        let agent = start(trial, &Image::new(layers), form)?.agent()?;
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
            let file = format!("{name}-{packing:?}");
            shows(&agent, &file, &format!("{form:?}"), "the one of a layer")?;
        }
    }
    let path = trial.new_image();
    let tagged = |tag: &str| image(trial, [Archive::new().file(&name, tag)]);
    let (one, two) = (tagged("one")?, tagged("two")?);
    write_layout(&path, &[("one", &one), ("two", &two)])?;
    for tag in ["two", "one"] {
        let agent = trial.start().rootfs(format!("{}:{tag}", path.display())).agent()?;
        shows(&agent, &name, tag, "of the image with this tag")?;
    }
    let missing = format!("{}:three", path.display());
    let ending = trial.start().rootfs(missing).command([trial.inside("probe")]).finish()?;
    refuses(&ending, "a tag that no image has")
}

fn two_share_one_store(trial: &Trial) -> Held {
    let name = trial.word();
    let layer = |text: &str| {
        let files = (0..200).map(|number| (format!("{text}-{number}"), text.repeat(number)));
        files.fold(Archive::new(), |archive, (name, text)| archive.file(name, text))
    };
    let image = image(trial, [layer("a").file(&name, "before"), layer("b")])?;
    let path = trial.new_image();
    image.write(&path, Form::Layout)?;
    let new_store = trial.new_image();
    let begin = || trial.start().rootfs(&path).store(&new_store).begin();
    let starting: Vec<_> = iter::repeat_with(begin).take(3).collect::<Result<_>>()?;
    let mut agents = Vec::new();
    for one in starting {
        agents.push(one.ready()?);
    }
    agents[0].must(&format!("write /{name} changed"))?;
    agents.push(begin()?.ready()?);
    for agent in &agents[1..] {
        shows(agent, &name, "before", "untouched by another container")?;
        shows(agent, "b-199", &"b".repeat(199), "the one of the image")?;
    }
    Ok(())
}

fn an_image_may_have_many_layers(trial: &Trial) -> Held {
    const COUNT: usize = 120;
    let dir = trial.word();
    let layer = |number: usize| {
        let archive = Archive::new().directory(&dir).file(format!("{dir}/{number}"), "");
        // Each takes away what the one before has brought, but for every tenth.
        match number.checked_sub(1) {
            Some(before) if before % 10 > 0 => archive.file(format!("{dir}/.wh.{before}"), ""),
            _ => archive,
        }
    };
    let due: Vec<String> = (0..COUNT)
        .filter(|number| number % 10 == 0 || *number == COUNT - 1)
        .map(|number| number.to_string())
        .collect();
    let due: Vec<&str> = due.iter().map(String::as_str).collect();
    let agent = agent(trial, (0..COUNT).map(layer))?;
    lists(&agent, &dir, &due, "what 120 layers have brought and not taken away")
}

fn devices_are_roots(trial: &Trial) -> Held {
    let [device, file] = [trial.word(), trial.word()];
    let about = About { device: (1, 3), ..About::new(EntryType::Char, 0o666) };
    let layer = || Archive::new().entry(&device, &about, b"").file(&file, "beside");
    if has_many_ids(trial)? {
        let agent = agent(trial, [layer()])?;
        let found = agent.command.stat_inside(&device)?;
        let is_due = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits())
            == SFlag::S_IFCHR
            && found.st_rdev == makedev(1, 3);
        expect(is_due, "the device node is a character device 1:3", || {
            format!("mode {:o}, device {:x}", found.st_mode, found.st_rdev)
        })?;
    }
    let image = image(trial, [layer()])?;
    let agent = start(trial, &image, Form::Layout)?.by_an_ordinary_user().agent()?;
    shows(&agent, &file, "beside", "what can be made is there")?;
    if agent.command.stat_inside(&device).is_ok() {
        return broken("an ordinary user's container has no device node", "it is there");
    }
    Ok(())
}
