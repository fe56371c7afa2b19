//! The steps, and what each is worth: which checks judge it, with how many points.
//!
//! The points of a step add up to 100: most of them for its own checks, the others for a short list
//! of earlier ones that it must not break. Everything is keyed by the slug; the number only orders.

use anyhow::{Context, Result, anyhow};

/// One step of the workshop, as the grader sees it.
#[derive(Debug)]
pub struct Step {
    /// Its place; it only orders.
    pub number: u8,
    /// Its word, by which everything is keyed.
    pub slug: &'static str,
    /// The step's own `step.toml`.
    about: &'static str,
    /// The names of its own checks and their points.
    own: &'static [(&'static str, u32)],
}

/// What the checks of [`KEPT`] are worth together, in every step after the first.
const KEPT_POINTS: u32 = 40;

impl Step {
    /// Number and slug: the name of the folder, the binary, the chapter and the snapshot.
    pub fn name(&self) -> String {
        format!("{:02}-{}", self.number, self.slug)
    }

    /// What the step is called in its chapter.
    pub fn title(&self) -> Result<String> {
        let about: toml::Table = self.about.parse().with_context(|| self.file())?;
        let title = about.get("title").and_then(toml::Value::as_str);
        Ok(title.with_context(|| format!("{}: there is no title", self.file()))?.to_owned())
    }

    fn file(&self) -> String {
        format!("steps/{}/step.toml", self.name())
    }

    /// Whether the step is called as `STEP ROOTFS COMMAND`.
    pub fn takes_rootfs(&self) -> bool {
        self.number > 0
    }

    /// Whether ROOTFS is a list of layers, of which the container changes none.
    pub fn stacks_layers(&self) -> bool {
        self.number >= 14
    }

    /// Whether it is given an image in the place of ROOTFS.
    pub fn takes_image(&self) -> bool {
        self.number >= 15
    }

    /// The checks that judge it, and their points: its own first.
    pub fn checks(&self) -> Vec<(&'static str, u32)> {
        let mut checks = self.own.to_vec();
        let kept: Vec<_> = self.earlier().filter(|name| KEPT.contains(name)).collect();
        // Equal shares; what is left over goes to the first ones, one point each.
        for (place, name) in (0u32..).zip(&kept) {
            let count = u32::try_from(kept.len()).unwrap_or(u32::MAX);
            let left_over = u32::from(place < KEPT_POINTS % count);
            checks.push((name, KEPT_POINTS / count + left_over));
        }
        checks
    }

    /// The checks of earlier steps that must hold too, and earn nothing.
    pub fn unpaid(&self) -> impl Iterator<Item = &'static str> {
        let is_answered = |name: &&str| self.takes_image() && ANSWERED_BY_IMAGES.contains(name);
        self.earlier().filter(move |name| !KEPT.contains(name) && !is_answered(name))
    }

    /// The checks of all earlier steps.
    fn earlier(&self) -> impl Iterator<Item = &'static str> {
        let steps = STEPS.iter().take_while(|step| step.number < self.number);
        steps.flat_map(|step| step.own).map(|(name, _)| *name)
    }

    /// The step named `04`, `4`, `uts-ns` or `04-uts-ns`.
    pub fn find(word: &str) -> Result<&'static Step> {
        let fits = |step: &&Step| {
            word == step.slug || word == step.name() || word.parse() == Ok(step.number)
        };
        STEPS.iter().find(fits).ok_or_else(|| {
            let names: Vec<String> = STEPS.iter().map(Step::name).collect();
            anyhow!("there is no step `{word}`; the steps are {}", names.join(", "))
        })
    }
}

/// What the contract of step 15 answers otherwise: which ROOTFS cannot be one, that layers on the
/// command line may be wrong, and whose the files are that belong to nobody in the container.
const ANSWERED_BY_IMAGES: &[&str] = &[
    "chroot/bad-rootfs-is-125",
    "user-ns/files-of-others-stay-out-of-reach",
    "overlay/impossible-layers-are-125",
];

/// What later steps are judged by too: of each step what a later one breaks most easily.
/// `workshop grade --thorough` runs the others as well.
const KEPT: &[&str] = &[
    "fork-exec/arguments-are-exact",
    "fork-exec/no-descriptor-leaks",
    "fork-exec/exit-code-passes-on",
    "fork-exec/not-found-is-127",
    "fork-exec/signals-reach-the-command",
    "fork-exec/dies-with-the-step",
    "fork-exec/nothing-left-behind",
    "mount-ns/its-mounts-stay-inside",
    "pivot-root/no-mount-of-the-host-inside",
    "uts-ns/hostname-is-set",
    "ipc-ns/queues-are-invisible-both-ways",
    "pid-ns/command-is-process-1",
    "net-ns/loopback-is-up",
    "user-ns/an-ordinary-user-can-run-it",
    "time-ns/both-clocks-start-at-the-uptime",
    "cgroup-ns/the-group-is-removed",
    "cgroup-cpu/the-group-has-the-limit",
    "cgroup-memory/over-the-limit-it-is-killed",
    "cgroup-pids-io/a-fork-bomb-stops-at-the-limit",
    "overlay/lower-layers-never-change",
    "image/digests-are-verified",
];

/// All steps, in their order.
pub static STEPS: &[Step] = &[
    Step {
        number: 0,
        slug: "fork-exec",
        about: include_str!("../../steps/00-fork-exec/step.toml"),
        own: &[
            ("fork-exec/arguments-are-exact", 8),
            ("fork-exec/environment-arrives", 5),
            ("fork-exec/standard-streams-are-the-callers", 6),
            ("fork-exec/prints-nothing-of-its-own", 5),
            ("fork-exec/no-descriptor-leaks", 6),
            ("fork-exec/signal-mask-and-dispositions-are-the-callers", 6),
            ("fork-exec/exit-code-passes-on", 10),
            ("fork-exec/death-by-signal-is-128-plus-n", 8),
            ("fork-exec/not-found-is-127", 6),
            ("fork-exec/not-executable-is-126", 6),
            ("fork-exec/misuse-is-125", 6),
            ("fork-exec/signals-reach-the-command", 8),
            ("fork-exec/dies-with-the-step", 6),
            ("fork-exec/no-zombie", 4),
            ("fork-exec/nothing-left-behind", 5),
            ("fork-exec/two-side-by-side", 5),
        ],
    },
    Step {
        number: 1,
        slug: "chroot",
        about: include_str!("../../steps/01-chroot/step.toml"),
        own: &[
            ("chroot/root-is-rootfs", 18),
            ("chroot/working-directory-is-root", 12),
            ("chroot/dotdot-stays-inside", 10),
            ("chroot/command-is-looked-up-inside", 10),
            ("chroot/bad-rootfs-is-125", 10),
        ],
    },
    Step {
        number: 2,
        slug: "mount-ns",
        about: include_str!("../../steps/02-mount-ns/step.toml"),
        own: &[
            ("mount-ns/own-mount-namespace", 9),
            ("mount-ns/its-mounts-stay-inside", 11),
            ("mount-ns/later-host-mounts-stay-out", 11),
            ("mount-ns/proc-is-mounted", 5),
            ("mount-ns/sys-is-mounted", 4),
            ("mount-ns/devices-work", 8),
            ("mount-ns/terminals-work", 4),
            ("mount-ns/shm-and-mqueue-are-mounted", 4),
            ("mount-ns/dev-links-lead-to-the-descriptors", 4),
        ],
    },
    Step {
        number: 3,
        slug: "pivot-root",
        about: include_str!("../../steps/03-pivot-root/step.toml"),
        own: &[
            ("pivot-root/namespace-root-is-rootfs", 20),
            ("pivot-root/no-mount-of-the-host-inside", 20),
            ("pivot-root/chroot-escape-fails", 20),
        ],
    },
    Step {
        number: 4,
        slug: "uts-ns",
        about: include_str!("../../steps/04-uts-ns/step.toml"),
        own: &[
            ("uts-ns/own-uts-namespace", 16),
            ("uts-ns/hostname-is-set", 20),
            ("uts-ns/host-keeps-its-name", 18),
            ("uts-ns/impossible-name-is-125", 6),
        ],
    },
    Step {
        number: 5,
        slug: "ipc-ns",
        about: include_str!("../../steps/05-ipc-ns/step.toml"),
        own: &[
            ("ipc-ns/own-ipc-namespace", 16),
            ("ipc-ns/segments-are-invisible-both-ways", 16),
            ("ipc-ns/queues-are-invisible-both-ways", 16),
            ("ipc-ns/mqueue-shows-its-own-queues", 12),
        ],
    },
    Step {
        number: 6,
        slug: "pid-ns",
        about: include_str!("../../steps/06-pid-ns/step.toml"),
        own: &[
            ("pid-ns/command-is-process-1", 11),
            ("pid-ns/proc-shows-only-the-container", 10),
            ("pid-ns/host-processes-cannot-be-reached", 8),
            ("pid-ns/its-end-ends-every-process", 8),
            ("pid-ns/a-killed-step-takes-every-process-along", 6),
            ("pid-ns/init-reaps-orphans", 5),
            ("pid-ns/init-lets-signals-take-effect", 5),
            ("pid-ns/init-passes-the-status-on", 4),
            ("pid-ns/init-changes-nothing-for-the-command", 3),
        ],
    },
    Step {
        number: 7,
        slug: "net-ns",
        about: include_str!("../../steps/07-net-ns/step.toml"),
        own: &[
            ("net-ns/own-network-namespace", 4),
            ("net-ns/loopback-is-up", 6),
            ("net-ns/host-listeners-are-out-of-reach", 6),
            ("net-ns/abstract-sockets-are-separate", 4),
            ("net-ns/host-network-cannot-be-changed", 4),
            ("net-ns/host-network-is-the-hosts", 3),
            ("net-ns/bridge-gives-an-address-and-a-route", 5),
            ("net-ns/bridge-carries-connections-both-ways", 6),
            ("net-ns/containers-reach-each-other", 4),
            ("net-ns/addresses-are-distinct", 3),
            ("net-ns/ip-is-the-one-asked-for", 2),
            ("net-ns/impossible-ip-is-125", 2),
            ("net-ns/subnet-is-chosen-or-refused", 2),
            ("net-ns/the-last-takes-the-bridge-along", 3),
            ("net-ns/the-next-run-clears-up", 2),
            ("net-ns/no-socket-of-the-hosts-inside", 2),
            ("net-ns/bridge-needs-the-privilege", 2),
        ],
    },
    Step {
        number: 8,
        slug: "user-ns",
        about: include_str!("../../steps/08-user-ns/step.toml"),
        own: &[
            ("user-ns/own-user-namespace", 6),
            ("user-ns/the-other-namespaces-belong-to-it", 8),
            ("user-ns/the-caller-is-root-inside", 8),
            ("user-ns/only-granted-ids-are-mapped", 6),
            ("user-ns/setgroups-is-denied", 6),
            ("user-ns/an-ordinary-user-can-run-it", 10),
            ("user-ns/files-of-others-stay-out-of-reach", 6),
            ("user-ns/what-a-mount-covers-stays-covered", 5),
            ("user-ns/the-option-is-known", 2),
            ("user-ns/a-host-that-refuses-is-125", 3),
        ],
    },
    Step {
        number: 9,
        slug: "time-ns",
        about: include_str!("../../steps/09-time-ns/step.toml"),
        own: &[
            ("time-ns/own-time-namespace", 14),
            ("time-ns/both-clocks-start-at-the-uptime", 16),
            ("time-ns/an-ordinary-user-can-set-it", 6),
            ("time-ns/without-an-uptime-nothing-changes", 6),
            ("time-ns/every-process-has-these-clocks", 8),
            ("time-ns/the-command-stays-process-1", 5),
            ("time-ns/impossible-uptime-is-125", 5),
        ],
    },
    Step {
        number: 10,
        slug: "cgroup-ns",
        about: include_str!("../../steps/10-cgroup-ns/step.toml"),
        own: &[
            ("cgroup-ns/own-cgroup-namespace", 8),
            ("cgroup-ns/its-group-is-the-root", 10),
            ("cgroup-ns/a-group-in-every-hierarchy", 10),
            ("cgroup-ns/the-step-stays-outside", 4),
            ("cgroup-ns/no-other-group-can-be-seen", 5),
            ("cgroup-ns/two-containers-have-two-groups", 4),
            ("cgroup-ns/the-parent-is-as-asked-for", 5),
            ("cgroup-ns/impossible-parent-is-125", 3),
            ("cgroup-ns/the-group-is-removed", 6),
            ("cgroup-ns/a-killed-steps-group-is-removed-by-the-next", 5),
        ],
    },
    Step {
        number: 11,
        slug: "cgroup-cpu",
        about: include_str!("../../steps/11-cgroup-cpu/step.toml"),
        own: &[
            ("cgroup-cpu/the-group-has-the-limit", 14),
            ("cgroup-cpu/the-use-stays-below-it", 18),
            ("cgroup-cpu/only-this-container-is-limited", 8),
            ("cgroup-cpu/the-limit-comes-before-the-command", 8),
            ("cgroup-cpu/impossible-number-is-125", 6),
            ("cgroup-cpu/a-limit-that-cannot-be-set-is-125", 6),
        ],
    },
    Step {
        number: 12,
        slug: "cgroup-memory",
        about: include_str!("../../steps/12-cgroup-memory/step.toml"),
        own: &[
            ("cgroup-memory/over-the-limit-it-is-killed", 14),
            ("cgroup-memory/under-the-limit-it-works", 8),
            ("cgroup-memory/the-whole-group-counts", 8),
            ("cgroup-memory/nothing-goes-to-the-swap", 6),
            ("cgroup-memory/the-limit-comes-before-the-command", 6),
            ("cgroup-memory/only-this-container-is-limited", 5),
            ("cgroup-memory/the-host-does-not-notice", 4),
            ("cgroup-memory/units-are-powers-of-1024", 3),
            ("cgroup-memory/impossible-size-is-125", 3),
            ("cgroup-memory/a-limit-that-cannot-be-set-is-125", 3),
        ],
    },
    Step {
        number: 13,
        slug: "cgroup-pids-io",
        about: include_str!("../../steps/13-cgroup-pids-io/step.toml"),
        own: &[
            ("cgroup-pids-io/a-fork-bomb-stops-at-the-limit", 9),
            ("cgroup-pids-io/just-as-many-as-asked-for", 7),
            ("cgroup-pids-io/the-limit-is-the-groups-own", 6),
            ("cgroup-pids-io/the-limit-comes-before-the-command", 5),
            ("cgroup-pids-io/without-the-options-there-is-no-limit", 3),
            ("cgroup-pids-io/others-can-still-fork", 5),
            ("cgroup-pids-io/nothing-is-left-of-a-fork-bomb", 5),
            ("cgroup-pids-io/impossible-number-is-125", 3),
            ("cgroup-pids-io/the-bandwidth-stands-in-the-groups-file", 6),
            ("cgroup-pids-io/writes-take-their-time", 5),
            ("cgroup-pids-io/impossible-bandwidth-is-125", 3),
            ("cgroup-pids-io/a-limit-that-cannot-be-set-is-125", 3),
        ],
    },
    Step {
        number: 14,
        slug: "overlay",
        about: include_str!("../../steps/14-overlay/step.toml"),
        own: &[
            ("overlay/lower-layers-never-change", 8),
            ("overlay/the-upper-layer-wins", 7),
            ("overlay/whiteouts-hide", 5),
            ("overlay/opaque-directories-hide", 5),
            ("overlay/what-is-removed-stays-removed", 4),
            ("overlay/two-containers-share-a-lower", 5),
            ("overlay/the-writable-layer-is-thrown-away", 4),
            ("overlay/upper-is-kept", 6),
            ("overlay/a-copy-keeps-its-attributes", 3),
            ("overlay/many-layers-at-long-paths", 5),
            ("overlay/a-colon-can-be-escaped", 1),
            ("overlay/impossible-layers-are-125", 3),
            ("overlay/etc-has-the-containers-names", 2),
            ("overlay/an-ordinary-user-has-layers-too", 2),
        ],
    },
    Step {
        number: 15,
        slug: "image",
        about: include_str!("../../steps/15-image/step.toml"),
        own: &[
            ("image/the-upper-layer-wins", 5),
            ("image/whiteouts-hide", 4),
            ("image/opaque-directories-hide", 4),
            ("image/hard-links-are-one-file", 4),
            ("image/modes-are-kept", 3),
            ("image/owners-are-kept", 2),
            ("image/attributes-are-kept", 3),
            ("image/the-last-of-two-entries-wins", 3),
            ("image/digests-are-verified", 6),
            ("image/sizes-are-verified", 3),
            ("image/damage-is-refused", 3),
            ("image/another-machine-is-refused", 3),
            ("image/the-platform-is-chosen", 2),
            ("image/no-name-leads-out", 3),
            ("image/no-link-leads-out", 3),
            ("image/all-forms-are-read", 4),
            ("image/two-share-one-store", 2),
            ("image/an-image-may-have-many-layers", 2),
            ("image/devices-are-roots", 1),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::{KEPT, STEPS, Step};
    use crate::checks;

    #[test]
    fn the_points_of_every_step_add_up_to_a_hundred() {
        for step in STEPS {
            let sum: u32 = step.checks().iter().map(|(_, points)| points).sum();
            assert_eq!(sum, 100, "{}", step.name());
            assert!(step.checks().iter().all(|(_, points)| *points > 0), "{}", step.name());
        }
    }

    #[test]
    fn every_check_is_some_steps_own_and_every_kept_one_exists() {
        let own = |name: &str| {
            STEPS.iter().filter(|step| step.own.iter().any(|(own, _)| *own == name)).count()
        };
        for check in checks::all() {
            assert_eq!(own(check.name), 1, "{}", check.name);
        }
        for step in STEPS {
            for (name, _) in step.own {
                assert!(checks::find(name).is_ok() && name.starts_with(step.slug), "{name}");
            }
        }
        for name in KEPT {
            checks::find(name).unwrap();
        }
    }

    #[test]
    fn a_step_is_found_by_number_slug_and_both() {
        for word in ["03", "3", "pivot-root", "03-pivot-root"] {
            assert_eq!(Step::find(word).unwrap().slug, "pivot-root");
        }
        let refusal = Step::find("99").unwrap_err().to_string();
        assert!(refusal.contains("03-pivot-root"), "{refusal}");
    }
}
