//! Disks: one of the host's, which can be named and not touched, and one of the trial's own.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknod, stat};
use nix::unistd::ftruncate;

use super::verdict::Broken;

/// Of linux/loop.h, see loop(4).
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// How large the trial's own disk is, in bytes; what nobody writes takes no memory.
const SIZE: i64 = 64 << 20;

/// A whole disk.
pub struct Disk {
    /// Its device node on the throw-away host.
    pub node: PathBuf,
    /// Major and minor number, as the kernel writes them: `8:0`.
    pub number: String,
}

/// A disk of the trial's own, in memory: a loop device, which the kernel gives back when nobody has
/// it open any more.
pub struct OwnDisk {
    /// What it is called.
    pub disk: Disk,
    _open: File,
}

/// The `struct loop_config` of linux/loop.h.
#[repr(C)]
struct LoopConfig {
    file: u32,
    block_size: u32,
    /// The `struct loop_info64`, of which only one field is not 0.
    before_flags: [u32; 13],
    flags: u32,
    after_flags: [u32; 44],
    reserved: [u64; 8],
}

impl Disk {
    /// The host's, which the sandbox shows.
    pub fn of_the_host() -> Result<Option<Disk>> {
        for entry in fs::read_dir("/dev").context("list /dev")? {
            let entry = entry.context("list /dev")?;
            let is_ours = entry.file_name().to_string_lossy().starts_with("loop");
            // What is mounted on a file only shows when one looks through the path.
            let found = fs::metadata(entry.path());
            if !is_ours && found.is_ok_and(|found| found.file_type().is_block_device()) {
                return Disk::at(entry.path()).map(Some);
            }
        }
        Ok(None)
    }

    fn at(node: PathBuf) -> Result<Disk> {
        let device = stat(&node).with_context(|| format!("stat {}", node.display()))?.st_rdev;
        Ok(Disk { node, number: format!("{}:{}", major(device), minor(device)) })
    }
}

impl OwnDisk {
    /// Makes one.
    pub fn make() -> Result<OwnDisk, Broken> {
        let control = match loop_control() {
            Err(Errno::EPERM | Errno::EACCES) => {
                let reason = "only root makes a disk to write to (loop(4))";
                return Err(Broken::Unsupported(reason.into()));
            }
            Err(Errno::ENODEV | Errno::ENXIO | Errno::ENOENT) => {
                let reason = "there is no disk to write to, and no loop device to make one of: \
                              modprobe loop";
                return Err(Broken::Unsupported(reason.into()));
            }
            control => control.context("open /dev/loop-control")?,
        };
        let memory = memfd_create(c"disk", MFdFlags::MFD_CLOEXEC).context("memfd_create")?;
        ftruncate(&memory, SIZE).context("ftruncate")?;
        // Between the question for a free one and its use another may have taken it.
        for _ in 0..100 {
            // SAFETY: the request takes no argument, and returns a number or -1.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
            let number = Errno::result(number).context("ioctl LOOP_CTL_GET_FREE")?;
            if let Some(own) = configure(number, &memory)? {
                return Ok(own);
            }
        }
        Err(Broken::Judge(anyhow!("no loop device stays free")))
    }

    /// Opens it once more, for writes past the page cache.
    pub fn open_direct(&self) -> Result<File> {
        let mut options = OpenOptions::new();
        let file = options.write(true).custom_flags(libc::O_DIRECT).open(&self.disk.node);
        file.with_context(|| format!("open {}", self.disk.node.display()))
    }
}

/// The sandbox's `/dev` has only what every program relies on.
fn loop_control() -> nix::Result<File> {
    let node = "/dev/loop-control";
    make_node(node, SFlag::S_IFCHR, makedev(10, 237))?;
    let opened = OpenOptions::new().read(true).write(true).open(node);
    opened.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

fn make_node(node: &str, kind: SFlag, device: u64) -> nix::Result<()> {
    match mknod(node, kind, Mode::from_bits_truncate(0o600), device) {
        Err(Errno::EEXIST) => Ok(()),
        made => made,
    }
}

/// Puts the memory behind a loop device; `None` if it is taken.
fn configure(number: i32, memory: &OwnedFd) -> Result<Option<OwnDisk>> {
    let dev = format!("/sys/block/loop{number}/dev");
    let text = fs::read_to_string(&dev).with_context(|| format!("read {dev}"))?;
    let (major, minor) = text.trim().split_once(':').with_context(|| format!("{dev} is {text}"))?;
    let node = format!("/dev/loop{number}");
    make_node(&node, SFlag::S_IFBLK, makedev(major.parse()?, minor.parse()?))
        .with_context(|| format!("mknod {node}"))?;
    let open = OpenOptions::new().read(true).write(true).open(&node);
    let open = open.with_context(|| format!("open {node}"))?;
    let config = LoopConfig {
        file: memory.as_raw_fd().cast_unsigned(),
        block_size: 0,
        before_flags: [0; 13],
        flags: LO_FLAGS_AUTOCLEAR,
        after_flags: [0; 44],
        reserved: [0; 8],
    };
    // SAFETY: `config` has the layout of a loop_config, and lives until the call has returned.
    let result = unsafe { libc::ioctl(open.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    match Errno::result(result) {
        Err(Errno::EBUSY) => Ok(None),
        result => {
            result.context("ioctl LOOP_CONFIGURE")?;
            Ok(Some(OwnDisk { disk: Disk::at(node.into())?, _open: open }))
        }
    }
}
