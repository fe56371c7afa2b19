//! Step 10: a control group of its own, and a view in which it is the root.
//!
//! A control group (cgroup) is a directory. A process belongs to one in each *hierarchy*, its
//! children are born there, and what they all use together is counted and can be limited there. On
//! version 2 there is one hierarchy with every controller in it; on version 1 most controllers have
//! one of their own. Both look alike: `mkdir` makes a group, and writing a process id to its file
//! `cgroup.procs` moves the process. So a [`Group`] hides the difference, and steps 11 to 13, which
//! write the limits, only ask for the directory of a controller.
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`hierarchy`] | which hierarchies there are, and where we are in them | `cgroups(7)`, `proc_pid_mountinfo(5)` |
//! | [`parent`] | where a group can be made: `--cgroup-parent`, or a place that is found | the kernel's `cgroup-v2.rst` |
//! | [`directory`] | a directory that goes with its maker, even if he was killed | flock(2) |
//! | [`group`] | [`Group`]: the container's group in all hierarchies | `cgroups(7)` |
//! | [`view`] | [`own_cgroup_view`]: the namespace, and [`with_cgroups`]: its file system | `cgroup_namespaces(7)` |

pub mod directory;
pub mod group;
pub mod hierarchy;
pub mod parent;
pub mod view;

pub use group::{CgroupOptions, Group};
pub use view::{own_cgroup_view, with_cgroups};
