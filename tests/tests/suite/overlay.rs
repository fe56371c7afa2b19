//! What the checks of step 14 do not ask of every program: as many layers as the kernel stacks, on
//! its new mount interface and on its old one, and a writable layer with one user at a time.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use tempfile::TempDir;

use crate::binaries::{WORKSHOP, beside_others, can_judge, reference, say_unsupported};

/// `FSCONFIG_SET_STRING` of linux/mount.h.
const SET_STRING: u64 = 1;

/// A root file system and layers for it, in each of which is a file of its own.
struct Layers {
    dir: TempDir,
    names: Vec<String>,
}

impl Layers {
    /// `None` where no root file system can be made: the reason has been said.
    fn new(test: &str, count: usize) -> Option<Layers> {
        let dir = TempDir::new().expect("a temporary directory");
        let root = dir.path().join("root");
        let made = Command::new(WORKSHOP).arg("rootfs").arg(&root).output().expect("workshop runs");
        if !made.status.success() {
            say_unsupported(test, String::from_utf8_lossy(&made.stderr).trim());
            return None;
        }
        let place = dir.path().join("a-name-that-takes-its-place".repeat(4));
        let mut names = Vec::new();
        for number in 1..count {
            let layer = place.join(number.to_string());
            fs::create_dir_all(layer.join("seen")).expect("mkdir");
            fs::write(layer.join("seen").join(number.to_string()), "").expect("write");
            names.push(layer.display().to_string());
        }
        names.push(root.display().to_string());
        Some(Layers { dir, names })
    }

    /// Runs a script in a container of the lowest `count` layers.
    fn run(&self, count: usize, script: &str, kernel: Kernel) -> Output {
        let mut command = self.sandbox();
        command.arg(reference("14-overlay"));
        command.arg(self.names[self.names.len() - count..].join(":")).args(["sh", "-c", script]);
        if let Kernel::BeforeLayersOneByOne = kernel {
            let filter = without_strings();
            // SAFETY: the child of a program with several threads only makes system calls here.
            unsafe {
                command.pre_exec(move || apply_filter(&filter).map_err(std::io::Error::other))
            };
        }
        command.output().expect("workshop runs")
    }

    fn sandbox(&self) -> Command {
        let mut command = Command::new(WORKSHOP);
        command.args(["sandbox", "--share"]).arg(self.dir.path());
        command
    }
}

/// What the kernel can do.
#[derive(Clone, Copy, Debug)]
enum Kernel {
    /// Whatever this one can.
    This,
    /// As before Linux 6.8: an overlay does not know the option `lowerdir+`.
    BeforeLayersOneByOne,
}

/// Refuses options of a new file system as a kernel does that does not know them.
fn without_strings() -> BpfProgram {
    let condition = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, SET_STRING);
    let rule = SeccompRule::new(vec![condition.expect("a condition")]).expect("a rule");
    let filter = SeccompFilter::new(
        [(libc::SYS_fsconfig, vec![rule])].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EINVAL.cast_unsigned()),
        std::env::consts::ARCH.try_into().expect("an architecture that seccompiler knows"),
    );
    filter.expect("a filter").try_into().expect("a program")
}

#[test]
fn as_many_layers_as_the_kernel_stacks_on_both_mount_interfaces() {
    let test = "as_many_layers_as_the_kernel_stacks_on_both_mount_interfaces";
    let _guard = beside_others();
    if !can_judge(test) {
        return;
    }
    let Some(layers) = Layers::new(test, 500) else { return };
    for kernel in [Kernel::This, Kernel::BeforeLayersOneByOne] {
        for count in [87, 120, 300, 499, 500] {
            let script = "echo new > /seen/new && ls /seen | wc -l";
            let output = layers.run(count, script, kernel);
            let stdout = String::from_utf8_lossy(&output.stdout);
            // Each layer has a file but the lowest, and one is new.
            assert_eq!(stdout.trim(), count.to_string(), "{kernel:?}: {output:?}");
        }
    }
}

#[test]
fn a_writable_layer_has_one_user_at_a_time() {
    let test = "a_writable_layer_has_one_user_at_a_time";
    let _guard = beside_others();
    if !can_judge(test) {
        return;
    }
    let Some(layers) = Layers::new(test, 1) else { return };
    let script = r#"
        cd /tmp && mkdir upper && mkfifo go
        "$0" --upper upper "$1" sh -c 'echo ready; read -r line' <go >out &
        exec 3>go
        until grep -q ready out; do sleep 0.05; done
        "$0" --upper upper "$1" true
        echo "status $?"
        echo >&3
        wait
        "$0" --upper upper "$1" true
        echo "status $?"
    "#;
    let mut command = layers.sandbox();
    command
        .args(["sh", "-c", script])
        .arg(reference("14-overlay"))
        .arg(Path::new(&layers.names[0]));
    let output = command.output().expect("workshop runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "status 125\nstatus 0\n", "{stderr}");
    assert!(stderr.contains("another container is using it"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
