//! Step 11: how much CPU time the container gets.
//!
//! The kernel divides time into *periods*, and a group gets a *quota* of each. When its processes,
//! all of them together and on all CPUs, have used it up, the group is *throttled*: none of them
//! runs until the next period begins. So 20 ms of every 100 ms are a fifth of a CPU, and 150 ms of
//! every 100 ms are one and a half.
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`options`] | `--cpus`: from a number of CPUs to a quota | the kernel's `sched-bwc.rst` |
//! | [`limit`] | [`limit_cpu`]: the quota becomes the group's, whichever version it is of | |
//! | `v2` | the file `cpu.max` | the kernel's `cgroup-v2.rst` |
//! | `v1` | the files `cpu.cfs_period_us` and `cpu.cfs_quota_us` | `sched-bwc.rst` |
//! | [`controller`] | the directory of a controller, a write, and both refusals in words; steps 12 and 13 use it too | `cgroups(7)` |

pub mod controller;
pub mod limit;
pub mod options;
mod v1;
mod v2;

pub use limit::limit_cpu;
pub use options::CpuOptions;
