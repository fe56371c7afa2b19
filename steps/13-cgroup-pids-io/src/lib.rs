//! Step 13: how many processes the container has at most, and how fast it writes to a disk.
//!
//! CPU time and memory are used up by what the processes *do*. Two more things of the host can run
//! out. One is process numbers, and the memory that each process takes in the kernel itself: a
//! command that does nothing but fork makes a host useless in a second. The `pids` controller
//! counts the processes of a group and refuses the fork that would be one too many (EAGAIN). The
//! other is the time of a disk. `io`, which version 1 calls `blkio`, lets a group write so many
//! bytes a second to one disk; who writes more waits.
//!
//! | module | is about | witness |
//! |---|---|---|
//! | [`options`] | `--pids-limit` and `--device-write-bps`, checked before anything is done | |
//! | [`disk`] | from a path to the number of a whole disk | `sysfs(5)` |
//! | [`pids`] | [`limit_pids`]: the same file in both versions | the kernel's `pids.rst` |
//! | [`io`] | [`limit_write_bps`]: a rate for each disk, whichever version the group is of | |
//! | `v2` | the file `io.max` | the kernel's `cgroup-v2.rst` |
//! | `v1` | the file `blkio.throttle.write_bps_device`, and what it does not hold back | the kernel's `blkio-controller.rst` |
//!
//! The directory of a controller, and why the kernel refuses a write there, are step 11's affair.

pub mod disk;
pub mod io;
pub mod options;
pub mod pids;
mod v1;
mod v2;

pub use io::limit_write_bps;
pub use options::PidsIoOptions;
pub use pids::limit_pids;
