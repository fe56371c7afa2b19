//! Step 12: how much memory the container gets.
//!
//! The kernel charges every page to the group of the process that touches it first: its data and
//! stack, the files that it reads and writes, and what the kernel itself keeps for it. When the
//! group reaches its limit, the kernel takes back what it can, files that are on a disk anyway
//! above all. When nothing is left that could be taken, it kills a process of the group: the OOM
//! killer, out of memory. Swap space would only put that off, and slow the host's disks down for
//! everybody, so the container gets none.
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`options`] | `--memory`: a size in bytes, or with a unit | `docker run`'s reference |
//! | [`limit`] | [`limit_memory`] and [`limit_swap`], for whichever version the group is of | |
//! | `v2` | the files `memory.max` and `memory.swap.max` | the kernel's `cgroup-v2.rst` |
//! | `v1` | the files `memory.limit_in_bytes` and `memory.memsw.limit_in_bytes` | the kernel's `cgroup-v1/memory.rst` |

pub mod limit;
pub mod options;
mod v1;
mod v2;

pub use limit::{limit_memory, limit_swap};
pub use options::MemoryOptions;
