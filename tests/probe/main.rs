//! The probe: the command that the checks run inside of a container.
//!
//! It does as it is told and nothing else: the judge writes one order a line to its standard input,
//! and the probe answers each with one line on its standard output. Whether the container holds is
//! never decided here: the judge looks at this process through the kernel, from the outside.
//!
//! It is linked statically and needs no file besides itself, so it runs in an empty root. And it has
//! no Rust `main`: before that one runs, Rust's runtime ignores SIGPIPE, handles SIGSEGV and opens
//! closed standard descriptors, and all that is what the judge wants to see untouched.
//!
//! | order | does | answer |
//! |---|---|---|
//! | `exit N` | exits with status N | |
//! | `raise N` | sends itself signal N | |
//! | `catch N` | from now on announces signal N with a line `signal N` | `ok` |
//! | `chdir P`, `mkdir P`, `chroot P`, `unlink P`, `rmdir P` | that system call | `ok` or `errno N` |
//! | `chown P UID` | makes another the owner of P | `ok` or `errno N` |
//! | `umount P` | unmounts what is mounted on P | `ok` or `errno N` |
//! | `mount P` | mounts a tmpfs on P | `ok` or `errno N` |
//! | `cgroups P NAME` | mounts the control groups on P, those of version 1 that have this name | `ok` or `errno N` |
//! | `read P` | reads 16 bytes from P | `ok HEX` or `errno N` |
//! | `write P TEXT` | writes TEXT to P, which it makes if it must | `ok` or `errno N` |
//! | `tty` | opens a pseudo-terminal through /dev/ptmx and its other end | `ok NUMBER` or `errno N` |
//! | `orphan` | leaves a sleeping process behind | `ok` or `errno N` |
//! | `hostname` | asks for the host name | `ok NAME` or `errno N` |
//! | `sethostname NAME` | sets the host name | `ok` or `errno N` |
//! | `shm-make KEY`, `shm-find KEY` | makes, or looks for, a System V shared memory segment | `ok` or `errno N` |
//! | `mq-make NAME`, `mq-find NAME` | makes, or opens, a POSIX message queue | `ok` or `errno N` |
//! | `kill PID N` | sends signal N to a process | `ok` or `errno N` |
//! | `listen PORT`, `listen NAME` | listens for TCP connections, or on an abstract socket | `ok PORT` or `errno N` |
//! | `accept` | accepts a connection, and reads what is sent | `ok TEXT` or `errno N` |
//! | `connect ADDRESS:PORT TEXT`, `connect NAME TEXT` | connects, and sends TEXT | `ok` or `errno N` |
//! | `down NAME` | takes a network interface down | `ok` or `errno N` |
//! | `ptrace PID` | begins to trace a process | `ok` or `errno N` |
//! | `clock N` | asks clock N for its time | `ok SECONDS.NANOSECONDS` or `errno N` |
//! | `burn N` | starts N processes that use all CPU time that they get | `ok` or `errno N` |
//! | `take N` | takes N MiB of memory, and keeps it | `ok` |
//! | `feed N` | starts a process that does the same | `ok taken`, or `ok died` |
//! | `breed N` | forks every N milliseconds for ever, and so does every process that comes of it | |
//! | `bomb` | forks until the kernel refuses it, and so does every process that comes of it; they stay | `ok` |
//! | `store N` | writes N bytes to standard error, in pieces that a disk takes without the page cache | `ok` or `errno N` |
//! | `strays N` | leaves N processes behind that end at once, all together | `ok` or `errno N` |

#![no_main]

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_ulong, c_void};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

// The probe has no dependencies, so it declares what it calls of the C library by itself.
unsafe extern "C" {
    safe fn fork() -> c_int;
    safe fn pause() -> c_int;
    safe fn raise(signal: c_int) -> c_int;
    safe fn signal(signal: c_int, handler: usize) -> usize;
    safe fn setsid() -> c_int;
    fn clock_gettime(clock: c_int, time: *mut [i64; 2]) -> c_int;
    fn chdir(path: *const c_char) -> c_int;
    fn chroot(path: *const c_char) -> c_int;
    fn mkdir(path: *const c_char, mode: u32) -> c_int;
    fn unlink(path: *const c_char) -> c_int;
    fn rmdir(path: *const c_char) -> c_int;
    fn chown(path: *const c_char, owner: u32, group: u32) -> c_int;
    fn umount2(path: *const c_char, flags: c_int) -> c_int;
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    safe fn kill(pid: c_int, signal: c_int) -> c_int;
    safe fn shmget(key: c_int, size: usize, flags: c_int) -> c_int;
    safe fn ptrace(request: c_long, pid: c_int, address: c_long, data: c_long) -> c_long;
    safe fn _exit(status: c_int) -> !;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn mq_open(name: *const c_char, flags: c_int, ...) -> c_int;
    fn sethostname(name: *const c_char, length: usize) -> c_int;
    fn gethostname(name: *mut c_char, length: usize) -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_int) -> c_int;
    #[link_name = "ioctl"]
    fn ioctl_ifreq(fd: c_int, request: c_ulong, argument: *const InterfaceFlags) -> c_int;
    fn write(fd: c_int, bytes: *const c_void, length: usize) -> isize;
}

const IPC_CREAT: c_int = 0o1000;
const IPC_EXCL: c_int = 0o2000;
const O_RDWR: c_int = 0o2;
const O_CREAT: c_int = 0o100;
const O_EXCL: c_int = 0o200;
const PTRACE_SEIZE: c_long = 0x4206;
const TIOCGPTN: c_ulong = 0x8004_5430;
const TIOCSPTLCK: c_ulong = 0x4004_5431;
const O_NOCTTY: c_int = 0o400;
const SIOCSIFFLAGS: c_ulong = 0x8914;

/// What `listen` has opened, for `accept`.
static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The `struct ifreq` of `netdevice(7)`, as a request about flags uses it.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: [u8; 24],
}

/// # Safety
/// Called once, by the C library, with the `argc` arguments of execve(2) in `argv`.
#[unsafe(no_mangle)]
unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // The first argument is a word by which the judge recognises this run; the others are its own affair.
    // SAFETY: with `argc` above 1 `argv[1]` is a C string, which lives as long as the process.
    let nonce = if argc > 1 { unsafe { CStr::from_ptr(*argv.add(1)) } } else { c"" };
    answer(&format!("ready {}", nonce.to_string_lossy()));
    for order in io::stdin().lock().lines() {
        let Ok(order) = order else { break };
        let (verb, rest) = order.split_once(' ').unwrap_or((&order, ""));
        match obey(verb, rest) {
            Ok(text) if text.is_empty() => answer("ok"),
            Ok(text) => answer(&format!("ok {text}")),
            Err(error) => answer(&format!("errno {}", error.raw_os_error().unwrap_or(0))),
        }
    }
    0
}

fn answer(line: &str) {
    // Nobody may be listening any more: that is the judge's affair.
    let _ = writeln!(io::stdout(), "{line}");
    let _ = io::stdout().flush();
}

fn obey(verb: &str, rest: &str) -> io::Result<String> {
    let path = || CString::new(rest).map_err(io::Error::from);
    match verb {
        "exit" => process::exit(number(rest)?),
        "raise" => check(raise(number(rest)?)),
        "catch" => {
            signal(number(rest)?, announce as extern "C" fn(c_int) as usize);
            Ok(String::new())
        }
        "chown" => {
            let (path, owner) = rest.split_once(' ').unwrap_or((rest, "0"));
            let path = CString::new(path)?;
            let owner = number(owner)?.cast_unsigned();
            // SAFETY: the path is a C string that lives until the call has returned.
            check(unsafe { chown(path.as_ptr(), owner, u32::MAX) }) // the group stays: chown(2)
        }
        "chdir" => on_path(rest, chdir),
        "chroot" => on_path(rest, chroot),
        "unlink" => on_path(rest, unlink),
        "rmdir" => on_path(rest, rmdir),
        // SAFETY: the path is a C string that lives until the call has returned.
        "mkdir" => check(unsafe { mkdir(path()?.as_ptr(), 0o755) }),
        // SAFETY: as above.
        "umount" => check(unsafe { umount2(path()?.as_ptr(), 0) }),
        "mount" => {
            let (path, tmpfs) = (path()?, c"tmpfs".as_ptr());
            // SAFETY: both are C strings that live until the call has returned; tmpfs needs no data.
            check(unsafe { mount(tmpfs, path.as_ptr(), tmpfs, 0, std::ptr::null()) })
        }
        "cgroups" => {
            let (path, name) = rest.split_once(' ').unwrap_or((rest, ""));
            let kind = if name.is_empty() { c"cgroup2" } else { c"cgroup" }.as_ptr();
            let (path, name) = (CString::new(path)?, CString::new(name)?);
            // SAFETY: all of these are C strings that live until the call has returned.
            check(unsafe { mount(kind, path.as_ptr(), kind, 0, name.as_ptr().cast()) })
        }
        "read" => {
            let mut bytes = [0; 16];
            let count = File::open(rest)?.read(&mut bytes)?;
            Ok(bytes[..count].iter().map(|byte| format!("{byte:02x}")).collect())
        }
        "write" => {
            let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
            file.write_all(text.as_bytes())?;
            Ok(String::new())
        }
        "tty" => open_terminal(),
        "orphan" => orphan(),
        "hostname" => hostname(),
        // SAFETY: the name lives until the call has returned, and has the length given.
        "sethostname" => check(unsafe { sethostname(path()?.as_ptr(), rest.len()) }),
        "shm-make" => check(shmget(number(rest)?, 4096, IPC_CREAT | IPC_EXCL | 0o600)),
        "shm-find" => check(shmget(number(rest)?, 0, 0)),
        // SAFETY: the name lives until the call has returned; with O_CREAT come a mode and the
        // default attributes, mq_open(3).
        "mq-make" => check(unsafe {
            let defaults = std::ptr::null::<c_void>();
            mq_open(path()?.as_ptr(), O_RDWR | O_CREAT | O_EXCL, 0o600 as c_int, defaults)
        }),
        // SAFETY: as above, and without O_CREAT there is nothing more to come.
        "mq-find" => check(unsafe { mq_open(path()?.as_ptr(), O_RDWR) }),
        "kill" => {
            let (pid, signal) = rest.split_once(' ').unwrap_or((rest, "0"));
            check(kill(number(pid)?, number(signal)?))
        }
        "ptrace" => match ptrace(PTRACE_SEIZE, number(rest)?, 0, 0) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(String::new()),
        },
        "clock" => clock(number(rest)?),
        "burn" => burn(number(rest)?),
        "take" => {
            take(number(rest)?);
            Ok(String::new())
        }
        "feed" => feed(number(rest)?),
        "strays" => strays(number(rest)?),
        "breed" => breed(number(rest)?),
        "bomb" => Ok(bomb()),
        "store" => store(number(rest)?),
        "listen" => listen(rest),
        "accept" => accept(),
        "connect" => {
            let (address, text) = rest.split_once(' ').unwrap_or((rest, ""));
            connect(address, text)
        }
        "down" => take_down(rest),
        _ => Err(io::Error::from_raw_os_error(38)), // ENOSYS: an order that this probe does not know
    }
}

/// One of the calls that take a path and nothing else.
fn on_path(
    path: &str,
    call: unsafe extern "C" fn(*const c_char) -> c_int,
) -> io::Result<String> {
    let path = CString::new(path)?;
    // SAFETY: the path is a C string that lives until the call has returned.
    check(unsafe { call(path.as_ptr()) })
}

fn number(text: &str) -> io::Result<c_int> {
    text.parse().map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn check(result: c_int) -> io::Result<String> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(String::new()) }
}

/// A signal handler: only calls what signal-safety(7) allows.
extern "C" fn announce(signal: c_int) {
    let line =
        [b's', b'i', b'g', b'n', b'a', b'l', b' ', digit(signal / 10), digit(signal % 10), b'\n'];
    // SAFETY: `line` lives until the call has returned.
    unsafe { write(1, line.as_ptr().cast(), line.len()) };
}

fn digit(value: c_int) -> u8 {
    b'0' + u8::try_from(value).unwrap_or(0)
}

/// What a terminal emulator does, see pts(4).
fn open_terminal() -> io::Result<String> {
    // Without O_NOCTTY the terminal would become that of our session, if we lead one, and its end
    // would be ours: SIGHUP.
    let open =
        |path: &str| OpenOptions::new().read(true).write(true).custom_flags(O_NOCTTY).open(path);
    let ptmx = open("/dev/ptmx")?;
    let (mut unlocked, mut index) = (0, 0);
    // SAFETY: both requests read or write one int, and both ints live until the calls have returned.
    check(unsafe { ioctl(ptmx.as_raw_fd(), TIOCSPTLCK, &raw mut unlocked) })?;
    // SAFETY: as above.
    check(unsafe { ioctl(ptmx.as_raw_fd(), TIOCGPTN, &raw mut index) })?;
    open(&format!("/dev/pts/{index}"))?;
    Ok(index.to_string())
}

/// A child in a session of its own, which nobody will wait for.
fn orphan() -> io::Result<String> {
    match fork() {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            setsid();
            loop {
                pause();
            }
        }
        _ => Ok(String::new()),
    }
}

/// Grandchildren whose parent has ended, so that process 1 becomes their parent; then they end too.
fn strays(count: c_int) -> io::Result<String> {
    match fork() {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let Ok((mut starter, gate)) = io::pipe() else { _exit(1) };
            for _ in 0..count {
                if fork() == 0 {
                    drop(gate);
                    // Comes to its end when their parent has ended, the last who holds the gate.
                    let _ = io::copy(&mut starter, &mut io::sink());
                    _exit(0)
                }
            }
            _exit(0)
        }
        // SAFETY: a null pointer means that the status is not wanted, wait(2).
        child => check(unsafe { waitpid(child, std::ptr::null_mut(), 0) }),
    }
}

fn burn(count: c_int) -> io::Result<String> {
    for _ in 0..count {
        match fork() {
            -1 => return Err(io::Error::last_os_error()),
            0 => loop {
                std::hint::spin_loop();
            },
            _ => {}
        }
    }
    Ok(String::new())
}

/// Memory counts from the moment at which something is written to it.
fn take(mebibytes: c_int) {
    let count = usize::try_from(mebibytes).unwrap_or(0) << 20;
    std::mem::forget(std::hint::black_box(vec![1_u8; count]));
}

/// The child says by a byte that it has it all, and by the end of the file that it has died.
fn feed(mebibytes: c_int) -> io::Result<String> {
    let (mut news, mut mouth) = io::pipe()?;
    match fork() {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            take(mebibytes);
            let _ = mouth.write_all(b"!");
            loop {
                pause();
            }
        }
        _ => {
            drop(mouth);
            let count = news.read(&mut [0])?;
            Ok(if count > 0 { "taken" } else { "died" }.into())
        }
    }
}

/// A fork bomb with a slow fuse. A fork that is refused is tried again.
fn breed(milliseconds: c_int) -> ! {
    loop {
        fork();
        sleep(Duration::from_millis(milliseconds.unsigned_abs().into()));
    }
}

/// A fork bomb: whoever is born forks as well. Each one rests when it is refused; one that does not
/// would keep the judge from its work, and show nothing more.
fn bomb() -> String {
    let mut is_first = true;
    loop {
        match fork() {
            -1 if is_first => return String::new(),
            -1 => loop {
                pause();
            },
            0 => is_first = false,
            _ => {}
        }
    }
}

/// Memory that begins where a page does: `O_DIRECT` asks for it (open(2)).
#[repr(C, align(4096))]
struct Page([u8; 1 << 16]);

fn store(count: c_int) -> io::Result<String> {
    let page = Box::new(Page([0x5a; 1 << 16]));
    let mut left = usize::try_from(count).unwrap_or(0);
    while left > 0 {
        let length = left.min(page.0.len());
        // SAFETY: `page` has at least this length, and lives until the call has returned.
        let written = unsafe { write(2, page.0.as_ptr().cast(), length) };
        let Ok(written) = usize::try_from(written) else { return Err(io::Error::last_os_error()) };
        left -= written;
    }
    Ok(String::new())
}

fn hostname() -> io::Result<String> {
    let mut name = [0; 65];
    // SAFETY: the call writes a name of at most 64 bytes and its NUL, for which there is room.
    check(unsafe { gethostname(name.as_mut_ptr(), name.len()) })?;
    // SAFETY: `name` ends with the NUL of above and lives as long as the reference.
    Ok(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}

/// On all addresses, at a port that the kernel chooses if it is 0.
fn listen(place: &str) -> io::Result<String> {
    let (listener, port) = if let Ok(port) = place.parse() {
        let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
        let port = listener.local_addr()?.port();
        (Listener::Tcp(listener), port.to_string())
    } else {
        let name = SocketAddr::from_abstract_name(place)?;
        (Listener::Unix(UnixListener::bind_addr(&name)?), String::new())
    };
    *LISTENER.lock().map_err(|_| io::ErrorKind::Other)? = Some(listener);
    Ok(port)
}

fn accept() -> io::Result<String> {
    let mut text = String::new();
    match LISTENER.lock().map_err(|_| io::ErrorKind::Other)?.as_ref() {
        Some(Listener::Tcp(listener)) => listener.accept()?.0.read_to_string(&mut text)?,
        Some(Listener::Unix(listener)) => listener.accept()?.0.read_to_string(&mut text)?,
        None => return Err(io::ErrorKind::NotConnected.into()),
    };
    Ok(text)
}

fn connect(place: &str, text: &str) -> io::Result<String> {
    if let Ok(address) = place.parse() {
        // Less than the judge waits for an answer.
        TcpStream::connect_timeout(&address, Duration::from_secs(4))?.write_all(text.as_bytes())?;
    } else {
        let name = SocketAddr::from_abstract_name(place)?;
        UnixStream::connect_addr(&name)?.write_all(text.as_bytes())?;
    }
    Ok(String::new())
}

fn take_down(interface: &str) -> io::Result<String> {
    let mut request = InterfaceFlags { name: [0; 16], flags: [0; 24] }; // without IFF_UP
    for (to, from) in request.name.iter_mut().take(15).zip(interface.bytes()) {
        *to = from;
    }
    let socket = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: the request has the size and the layout of an ifreq, and outlives the call.
    check(unsafe { ioctl_ifreq(socket.as_raw_fd(), SIOCSIFFLAGS, &raw const request) })
}

fn clock(number: c_int) -> io::Result<String> {
    let mut time = [0; 2];
    // SAFETY: on 64-bit machines a timespec is two 64-bit integers, for which there is room.
    check(unsafe { clock_gettime(number, &raw mut time) })?;
    Ok(format!("{}.{:09}", time[0], time[1]))
}
