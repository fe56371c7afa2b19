//! The steps, and what each is worth: which checks judge it, with how many points.
//!
//! The points of a step add up to 100. Its own checks come first, then the earlier ones that it
//! must not break. Everything is keyed by the slug; the number only orders.

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
    /// Names of checks and their points.
    pub checks: &'static [(&'static str, u32)],
}

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

/// All steps, in their order.
pub static STEPS: &[Step] = &[
    Step {
        number: 0,
        slug: "fork-exec",
        about: include_str!("../../steps/00-fork-exec/step.toml"),
        checks: &[
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
        checks: &[
            ("chroot/root-is-rootfs", 20),
            ("chroot/working-directory-is-root", 15),
            ("chroot/dotdot-stays-inside", 10),
            ("chroot/command-is-looked-up-inside", 10),
            ("chroot/bad-rootfs-is-125", 10),
            ("fork-exec/arguments-are-exact", 3),
            ("fork-exec/environment-arrives", 1),
            ("fork-exec/standard-streams-are-the-callers", 1),
            ("fork-exec/prints-nothing-of-its-own", 2),
            ("fork-exec/no-descriptor-leaks", 3),
            ("fork-exec/signal-mask-and-dispositions-are-the-callers", 1),
            ("fork-exec/exit-code-passes-on", 3),
            ("fork-exec/death-by-signal-is-128-plus-n", 3),
            ("fork-exec/not-found-is-127", 3),
            ("fork-exec/not-executable-is-126", 3),
            ("fork-exec/misuse-is-125", 1),
            ("fork-exec/signals-reach-the-command", 3),
            ("fork-exec/dies-with-the-step", 3),
            ("fork-exec/no-zombie", 1),
            ("fork-exec/nothing-left-behind", 3),
            ("fork-exec/two-side-by-side", 1),
        ],
    },
    Step {
        number: 2,
        slug: "mount-ns",
        about: include_str!("../../steps/02-mount-ns/step.toml"),
        checks: &[
            ("mount-ns/own-mount-namespace", 10),
            ("mount-ns/its-mounts-stay-inside", 12),
            ("mount-ns/later-host-mounts-stay-out", 12),
            ("mount-ns/proc-is-mounted", 6),
            ("mount-ns/sys-is-mounted", 5),
            ("mount-ns/devices-work", 10),
            ("mount-ns/terminals-work", 5),
            ("mount-ns/shm-and-mqueue-are-mounted", 5),
            ("mount-ns/dev-links-lead-to-the-descriptors", 5),
            ("chroot/root-is-rootfs", 2),
            ("chroot/working-directory-is-root", 2),
            ("chroot/dotdot-stays-inside", 1),
            ("chroot/command-is-looked-up-inside", 1),
            ("chroot/bad-rootfs-is-125", 2),
            ("fork-exec/arguments-are-exact", 1),
            ("fork-exec/environment-arrives", 1),
            ("fork-exec/standard-streams-are-the-callers", 1),
            ("fork-exec/prints-nothing-of-its-own", 1),
            ("fork-exec/no-descriptor-leaks", 2),
            ("fork-exec/signal-mask-and-dispositions-are-the-callers", 1),
            ("fork-exec/exit-code-passes-on", 2),
            ("fork-exec/death-by-signal-is-128-plus-n", 2),
            ("fork-exec/not-found-is-127", 1),
            ("fork-exec/not-executable-is-126", 1),
            ("fork-exec/misuse-is-125", 1),
            ("fork-exec/signals-reach-the-command", 2),
            ("fork-exec/dies-with-the-step", 2),
            ("fork-exec/no-zombie", 1),
            ("fork-exec/nothing-left-behind", 2),
            ("fork-exec/two-side-by-side", 1),
        ],
    },
    Step {
        number: 3,
        slug: "pivot-root",
        about: include_str!("../../steps/03-pivot-root/step.toml"),
        checks: &[
            ("pivot-root/namespace-root-is-rootfs", 20),
            ("pivot-root/no-mount-of-the-host-inside", 20),
            ("pivot-root/chroot-escape-fails", 20),
            ("mount-ns/own-mount-namespace", 2),
            ("mount-ns/its-mounts-stay-inside", 2),
            ("mount-ns/later-host-mounts-stay-out", 2),
            ("mount-ns/proc-is-mounted", 1),
            ("mount-ns/sys-is-mounted", 1),
            ("mount-ns/devices-work", 2),
            ("mount-ns/terminals-work", 1),
            ("mount-ns/shm-and-mqueue-are-mounted", 1),
            ("mount-ns/dev-links-lead-to-the-descriptors", 1),
            ("chroot/root-is-rootfs", 1),
            ("chroot/working-directory-is-root", 1),
            ("chroot/dotdot-stays-inside", 1),
            ("chroot/command-is-looked-up-inside", 1),
            ("chroot/bad-rootfs-is-125", 2),
            ("fork-exec/arguments-are-exact", 1),
            ("fork-exec/environment-arrives", 1),
            ("fork-exec/standard-streams-are-the-callers", 1),
            ("fork-exec/prints-nothing-of-its-own", 1),
            ("fork-exec/no-descriptor-leaks", 2),
            ("fork-exec/signal-mask-and-dispositions-are-the-callers", 1),
            ("fork-exec/exit-code-passes-on", 2),
            ("fork-exec/death-by-signal-is-128-plus-n", 2),
            ("fork-exec/not-found-is-127", 1),
            ("fork-exec/not-executable-is-126", 1),
            ("fork-exec/misuse-is-125", 1),
            ("fork-exec/signals-reach-the-command", 1),
            ("fork-exec/dies-with-the-step", 2),
            ("fork-exec/no-zombie", 1),
            ("fork-exec/nothing-left-behind", 2),
            ("fork-exec/two-side-by-side", 1),
        ],
    },
    Step {
        number: 4,
        slug: "uts-ns",
        about: include_str!("../../steps/04-uts-ns/step.toml"),
        checks: &[
            ("uts-ns/own-uts-namespace", 15),
            ("uts-ns/hostname-is-set", 20),
            ("uts-ns/host-keeps-its-name", 18),
            ("uts-ns/impossible-name-is-125", 5),
            ("pivot-root/namespace-root-is-rootfs", 2),
            ("pivot-root/no-mount-of-the-host-inside", 2),
            ("pivot-root/chroot-escape-fails", 2),
            ("mount-ns/own-mount-namespace", 1),
            ("mount-ns/its-mounts-stay-inside", 2),
            ("mount-ns/later-host-mounts-stay-out", 2),
            ("mount-ns/proc-is-mounted", 1),
            ("mount-ns/sys-is-mounted", 1),
            ("mount-ns/devices-work", 1),
            ("mount-ns/terminals-work", 1),
            ("mount-ns/shm-and-mqueue-are-mounted", 1),
            ("mount-ns/dev-links-lead-to-the-descriptors", 1),
            ("chroot/root-is-rootfs", 1),
            ("chroot/working-directory-is-root", 1),
            ("chroot/dotdot-stays-inside", 1),
            ("chroot/command-is-looked-up-inside", 1),
            ("chroot/bad-rootfs-is-125", 1),
            ("fork-exec/arguments-are-exact", 1),
            ("fork-exec/environment-arrives", 1),
            ("fork-exec/standard-streams-are-the-callers", 1),
            ("fork-exec/prints-nothing-of-its-own", 1),
            ("fork-exec/no-descriptor-leaks", 2),
            ("fork-exec/signal-mask-and-dispositions-are-the-callers", 1),
            ("fork-exec/exit-code-passes-on", 2),
            ("fork-exec/death-by-signal-is-128-plus-n", 1),
            ("fork-exec/not-found-is-127", 1),
            ("fork-exec/not-executable-is-126", 1),
            ("fork-exec/misuse-is-125", 1),
            ("fork-exec/signals-reach-the-command", 1),
            ("fork-exec/dies-with-the-step", 2),
            ("fork-exec/no-zombie", 1),
            ("fork-exec/nothing-left-behind", 2),
            ("fork-exec/two-side-by-side", 1),
        ],
    },
    Step {
        number: 5,
        slug: "ipc-ns",
        about: include_str!("../../steps/05-ipc-ns/step.toml"),
        checks: &[
            ("ipc-ns/own-ipc-namespace", 16),
            ("ipc-ns/segments-are-invisible-both-ways", 15),
            ("ipc-ns/queues-are-invisible-both-ways", 15),
            ("ipc-ns/mqueue-shows-its-own-queues", 10),
            ("uts-ns/own-uts-namespace", 1),
            ("uts-ns/hostname-is-set", 1),
            ("uts-ns/host-keeps-its-name", 2),
            ("uts-ns/impossible-name-is-125", 1),
            ("pivot-root/namespace-root-is-rootfs", 2),
            ("pivot-root/no-mount-of-the-host-inside", 2),
            ("pivot-root/chroot-escape-fails", 2),
            ("mount-ns/own-mount-namespace", 1),
            ("mount-ns/its-mounts-stay-inside", 1),
            ("mount-ns/later-host-mounts-stay-out", 1),
            ("mount-ns/proc-is-mounted", 1),
            ("mount-ns/sys-is-mounted", 1),
            ("mount-ns/devices-work", 1),
            ("mount-ns/terminals-work", 1),
            ("mount-ns/shm-and-mqueue-are-mounted", 1),
            ("mount-ns/dev-links-lead-to-the-descriptors", 1),
            ("chroot/root-is-rootfs", 1),
            ("chroot/working-directory-is-root", 1),
            ("chroot/dotdot-stays-inside", 1),
            ("chroot/command-is-looked-up-inside", 1),
            ("chroot/bad-rootfs-is-125", 1),
            ("fork-exec/arguments-are-exact", 1),
            ("fork-exec/environment-arrives", 1),
            ("fork-exec/standard-streams-are-the-callers", 1),
            ("fork-exec/prints-nothing-of-its-own", 1),
            ("fork-exec/no-descriptor-leaks", 2),
            ("fork-exec/signal-mask-and-dispositions-are-the-callers", 1),
            ("fork-exec/exit-code-passes-on", 2),
            ("fork-exec/death-by-signal-is-128-plus-n", 1),
            ("fork-exec/not-found-is-127", 1),
            ("fork-exec/not-executable-is-126", 1),
            ("fork-exec/misuse-is-125", 1),
            ("fork-exec/signals-reach-the-command", 1),
            ("fork-exec/dies-with-the-step", 1),
            ("fork-exec/no-zombie", 1),
            ("fork-exec/nothing-left-behind", 2),
            ("fork-exec/two-side-by-side", 1),
        ],
    },
    Step {
        number: 6,
        slug: "pid-ns",
        about: include_str!("../../steps/06-pid-ns/step.toml"),
        checks: &[
            ("pid-ns/command-is-process-1", 10),
            ("pid-ns/proc-shows-only-the-container", 10),
            ("pid-ns/host-processes-cannot-be-signalled", 8),
            ("pid-ns/its-end-ends-every-process", 8),
            ("pid-ns/a-killed-step-takes-every-process-along", 6),
            ("pid-ns/init-reaps-orphans", 5),
            ("pid-ns/init-lets-signals-take-effect", 5),
            ("pid-ns/init-passes-the-status-on", 4),
            ("pid-ns/init-changes-nothing-for-the-command", 2),
            ("ipc-ns/own-ipc-namespace", 1),
            ("ipc-ns/segments-are-invisible-both-ways", 1),
            ("ipc-ns/queues-are-invisible-both-ways", 1),
            ("ipc-ns/mqueue-shows-its-own-queues", 1),
            ("uts-ns/own-uts-namespace", 1),
            ("uts-ns/hostname-is-set", 1),
            ("uts-ns/host-keeps-its-name", 1),
            ("uts-ns/impossible-name-is-125", 1),
            ("pivot-root/namespace-root-is-rootfs", 1),
            ("pivot-root/no-mount-of-the-host-inside", 1),
            ("pivot-root/chroot-escape-fails", 1),
            ("mount-ns/own-mount-namespace", 1),
            ("mount-ns/its-mounts-stay-inside", 1),
            ("mount-ns/later-host-mounts-stay-out", 1),
            ("mount-ns/proc-is-mounted", 1),
            ("mount-ns/sys-is-mounted", 1),
            ("mount-ns/devices-work", 1),
            ("mount-ns/terminals-work", 1),
            ("mount-ns/shm-and-mqueue-are-mounted", 1),
            ("mount-ns/dev-links-lead-to-the-descriptors", 1),
            ("chroot/root-is-rootfs", 1),
            ("chroot/working-directory-is-root", 1),
            ("chroot/dotdot-stays-inside", 1),
            ("chroot/command-is-looked-up-inside", 1),
            ("chroot/bad-rootfs-is-125", 1),
            ("fork-exec/arguments-are-exact", 1),
            ("fork-exec/environment-arrives", 1),
            ("fork-exec/standard-streams-are-the-callers", 1),
            ("fork-exec/prints-nothing-of-its-own", 1),
            ("fork-exec/no-descriptor-leaks", 1),
            ("fork-exec/signal-mask-and-dispositions-are-the-callers", 1),
            ("fork-exec/exit-code-passes-on", 1),
            ("fork-exec/death-by-signal-is-128-plus-n", 1),
            ("fork-exec/not-found-is-127", 1),
            ("fork-exec/not-executable-is-126", 1),
            ("fork-exec/misuse-is-125", 1),
            ("fork-exec/signals-reach-the-command", 1),
            ("fork-exec/dies-with-the-step", 1),
            ("fork-exec/no-zombie", 1),
            ("fork-exec/nothing-left-behind", 2),
            ("fork-exec/two-side-by-side", 1),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::{STEPS, Step};
    use crate::checks;

    #[test]
    fn the_points_of_every_step_add_up_to_a_hundred() {
        for step in STEPS {
            let sum: u32 = step.checks.iter().map(|(_, points)| points).sum();
            assert_eq!(sum, 100, "{}", step.name());
        }
    }

    #[test]
    fn every_check_that_a_step_names_exists_and_every_check_is_named() {
        for step in STEPS {
            for (name, _) in step.checks {
                checks::find(name).unwrap();
            }
        }
        for check in checks::all() {
            let named =
                STEPS.iter().any(|step| step.checks.iter().any(|(name, _)| *name == check.name));
            assert!(named, "no step is judged by {}", check.name);
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
