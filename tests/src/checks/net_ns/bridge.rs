//! The container on a bridge.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::Context;
use caps::Capability;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::checks::fork_exec::{has_status, refuses};
use crate::judge::agent::{Agent, Starting};
use crate::judge::kernel::Process;
use crate::judge::network::{HostNetwork, Route, try_to_make_a_bridge};
use crate::judge::trial::Trial;
use crate::judge::verdict::{Broken, Held, broken, expect};
use crate::judge::wait::until;
use crate::patience::{patience, stretched};

/// How many start at the same time.
const MANY: usize = 6;

/// A container on the bridge, with further options.
fn bridged<'t>(trial: &'t Trial, options: &[&str]) -> Result<Agent<'t>, Broken> {
    possible()?;
    trial.start().options(["--network", "bridge"]).options(options).agent()
}

/// Whether a bridge can be made here at all.
fn possible() -> Held {
    let unsupported =
        |errno| Broken::Unsupported(format!("no bridge can be made here: the kernel says {errno}"));
    try_to_make_a_bridge().map_err(unsupported)
}

/// The container's address and the route of its subnet.
fn place(agent: &Agent) -> Result<(Ipv4Addr, Route), Broken> {
    let mut addresses = agent.command.addresses()?;
    addresses.retain(|address| !address.is_loopback());
    let routes = agent.command.routes()?;
    let near = |address: Ipv4Addr| {
        let mut direct = routes.iter().filter(|route| route.gateway.is_unspecified());
        direct.find(|route| route.covers(address) && !route.mask.is_unspecified())
    };
    match addresses.iter().find_map(|address| Some((*address, *near(*address)?))) {
        Some(place) if addresses.len() == 1 => Ok(place),
        _ => broken(
            "the container has one address, and a route to the subnet in which it lies",
            format!("in /proc/PID/net are the addresses {addresses:?} and the routes {routes:?}"),
        ),
    }
}

/// The host's address on the bridge: where the container's default route leads.
fn gateway(agent: &Agent) -> Result<Ipv4Addr, Broken> {
    match agent.command.default_route()? {
        Some(route) => Ok(route.gateway),
        None => broken("the container has a default route", "/proc/PID/net/route has none"),
    }
}

/// Listens at the host's address on the bridge.
fn listen_at_the_bridge(agent: &Agent) -> Result<TcpListener, Broken> {
    let gateway = gateway(agent)?;
    let listener = TcpListener::bind((gateway, 0));
    listener.or_else(|error| {
        broken("the default route leads to the host", format!("listen at {gateway}: {error}"))
    })
}

pub fn gives_an_address_and_a_route(trial: &Trial) -> Held {
    let agent = bridged(trial, &[])?;
    let (host, (address, subnet)) = (Process::host(trial.host)?, place(&agent)?);
    let gateway = gateway(&agent)?;
    expect(host.addresses()?.contains(&gateway), "the default route leads to the host", || {
        format!("it leads to {gateway}, and the host has {:?}", host.addresses())
    })?;
    expect(subnet.covers(gateway), "host and container are in the same subnet", || {
        format!("{address} in {}, and the host is {gateway}", subnet.cidr())
    })?;
    expect(host.routes()?.contains(&subnet), "the host has a route to the subnet", || {
        format!("no {} in /proc/net/route, but {:?}", subnet.cidr(), host.routes())
    })
}

pub fn carries_connections_both_ways(trial: &Trial) -> Held {
    let mut agent = bridged(trial, &[])?;
    let ((address, _), word) = (place(&agent)?, trial.word());
    let hosts = listen_at_the_bridge(&agent)?;
    let to_host = hosts.local_addr().context("getsockname")?;
    let answer = agent.order(&format!("connect {to_host} {word}"))?;
    expect(answer.is_ok(), "the container reaches the host", || {
        format!("connect to {to_host} inside: {answer:?}")
    })?;
    // The last packet of a handshake may be on its way still. Nobody waits for ever for it.
    let mut coming = [PollFd::new(hosts.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(patience()).unwrap_or(PollTimeout::MAX);
    poll(&mut coming, limit).context("poll")?;
    hosts.set_nonblocking(true).context("fcntl O_NONBLOCK")?;
    let mut heard = String::new();
    let from = hosts.accept().and_then(|(mut connection, from)| {
        connection.set_nonblocking(false)?;
        connection.read_to_string(&mut heard)?;
        Ok(from.ip())
    });
    let due = from.as_ref().is_ok_and(|from| *from == address) && heard == word;
    expect(due, "the host hears the container, from the container's address", || {
        format!("it hears {heard:?} from {from:?}; sent was {word:?}, by {address}")
    })?;
    let port: u16 = agent.must("listen 0")?.parse().context("a port")?;
    let word = trial.word();
    let answer =
        TcpStream::connect_timeout(&(address, port).into(), stretched(Duration::from_secs(4)))
            .and_then(|mut connection| connection.write_all(word.as_bytes()));
    expect(answer.is_ok(), "the host reaches the container", || {
        format!("connect to {address}:{port}: {answer:?}")
    })?;
    let heard = agent.must("accept")?;
    expect(heard == word, "the container hears the host", || format!("it hears {heard:?}"))
}

pub fn containers_reach_each_other(trial: &Trial) -> Held {
    let mut agents = [bridged(trial, &[])?, bridged(trial, &[])?];
    for (one, other) in [(0, 1), (1, 0)] {
        let ((address, _), word) = (place(&agents[one])?, trial.word());
        let port = agents[one].must("listen 0")?;
        let answer = agents[other].order(&format!("connect {address}:{port} {word}"))?;
        expect(answer.is_ok(), "one container reaches the other", || {
            format!("connect to {address}:{port} in the other: {answer:?}")
        })?;
        let heard = agents[one].must("accept")?;
        expect(heard == word, "one container hears the other", || format!("it hears {heard:?}"))?;
    }
    Ok(())
}

pub fn addresses_are_distinct(trial: &Trial) -> Held {
    possible()?;
    let begin = |_| trial.start().options(["--network", "bridge"]).begin();
    // All of them are on their way before the first one is waited for.
    let starting: Vec<_> = (0..MANY).map(begin).collect::<anyhow::Result<_>>()?;
    let agents: Vec<Agent> = starting.into_iter().map(Starting::ready).collect::<Result<_, _>>()?;
    let addresses: BTreeSet<Ipv4Addr> =
        agents.iter().map(|agent| Ok(place(agent)?.0)).collect::<Result<_, Broken>>()?;
    expect(
        addresses.len() == MANY,
        &format!("{MANY} containers that start together have {MANY} addresses"),
        || format!("they have {addresses:?}"),
    )
}

pub fn ip_is_the_one_asked_for(trial: &Trial) -> Held {
    let first = bridged(trial, &[])?;
    let wanted = free_address(trial, &first)?;
    let (address, _) = place(&bridged(trial, &["--ip", &wanted.to_string()])?)?;
    expect(address == wanted, &format!("with --ip {wanted} that is the address"), || {
        format!("it is {address}")
    })
}

pub fn impossible_ip_is_125(trial: &Trial) -> Held {
    let agent = bridged(trial, &[])?;
    let (address, subnet) = place(&agent)?;
    let free = free_address(trial, &agent)?;
    let beyond = Ipv4Addr::from_bits(broadcast(&subnet).to_bits() + 9);
    for (network, ip, what) in [
        ("bridge", address, "an address that another container has"),
        ("bridge", gateway(&agent)?, "the host's address on the bridge"),
        ("bridge", subnet.destination, "the first address of the subnet, which is its name"),
        ("bridge", broadcast(&subnet), "the last address of the subnet, which means everybody"),
        ("bridge", beyond, "an address outside of the subnet"),
        ("none", free, "an address without a bridge"),
        ("host", free, "an address in the host's network"),
    ] {
        let ip = ip.to_string();
        let start = trial.start().options(["--network", network, "--ip", &ip]);
        refuses(&start.command([trial.inside("probe")]).finish()?, &format!("{what} ({ip})"))?;
    }
    Ok(())
}

/// Whether the program has the option `--subnet`; `free` can be had. The contract lets it choose.
fn knows_subnet(trial: &Trial, free: &str) -> Held {
    possible()?;
    let start = trial.start().options(["--network", "bridge", "--subnet", free]);
    let ending = start.command([trial.inside("probe")]).finish()?;
    if ending.status == 125 {
        let reason = "the program has no option `--subnet`, and need not have it";
        return Err(Broken::Unsupported(reason.to_owned()));
    }
    Ok(())
}

pub fn subnet_is_chosen_or_refused(trial: &Trial) -> Held {
    let (second, third) = (trial.number(0..200), trial.number(0..256));
    let wanted = format!("10.{second}.{third}.0/24");
    knows_subnet(trial, &wanted)?;
    let agent = bridged(trial, &["--subnet", &wanted])?;
    let (_, subnet) = place(&agent)?;
    expect(subnet.cidr() == wanted, &format!("with --subnet {wanted} that is the subnet"), || {
        format!("the route inside is {}", subnet.cidr())
    })?;
    // Now the host has a route to it.
    for colliding in [format!("10.{second}.0.0/16"), format!("10.{second}.{third}.128/25")] {
        let start = trial.start().options(["--network", "bridge", "--subnet", &colliding]);
        let ending = start.command([trial.inside("probe")]).finish()?;
        let what = format!("--subnet {colliding}, while the host has a route to {wanted},");
        refuses(&ending, &what)?;
        let said = String::from_utf8_lossy(&ending.stderr).into_owned();
        expect(
            said.contains(&wanted),
            &format!("{what} is refused with that route's name"),
            || format!("on standard error: {said:?}"),
        )?;
    }
    Ok(())
}

pub fn the_last_takes_the_bridge_along(trial: &Trial) -> Held {
    // Then there is a rule to be removed as well.
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("let the sandbox forward")?;
    let before = HostNetwork::of(trial)?;
    let (one, mut other) = (bridged(trial, &[])?, bridged(trial, &[])?);
    one.exit(0)?;
    let hosts = listen_at_the_bridge(&other)?;
    let address = hosts.local_addr().context("getsockname")?;
    let answer = other.order(&format!("connect {address} hello"))?;
    expect(answer.is_ok(), "when one of two containers has ended the other has a network", || {
        format!("connect to {address} inside: {answer:?}")
    })?;
    other.exit(0)?;
    let after = HostNetwork::of(trial)?;
    expect(after == before, "the last container leaves the host's network as it was", || {
        format!("before: {before:?}; afterwards: {after:?}")
    })
}

pub fn the_next_run_clears_up(trial: &Trial) -> Held {
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("let the sandbox forward")?;
    let before = HostNetwork::of(trial)?;
    let mut killed = [bridged(trial, &[])?, bridged(trial, &[])?];
    for agent in &mut killed {
        agent.run.signal(Signal::SIGKILL)?;
        agent.ending()?;
    }
    has_status(&bridged(trial, &[])?.exit(0)?, &[0], "a run after two were killed")?;
    // A namespace whose last process was killed is cleared away in the background.
    let same = until(patience(), || Ok(HostNetwork::of(trial)? == before))?;
    expect(same, "after one more run the host's network is as it was", || {
        format!("before: {before:?}; afterwards: {:?}", HostNetwork::of(trial))
    })
}

pub fn no_socket_of_the_hosts_is_inside(trial: &Trial) -> Held {
    let agent = bridged(trial, &["--init"])?;
    let hosts = Process::host(trial.host)?.sockets_that_matter()?;
    for process in trial.host.descendants(agent.run.pid())? {
        let open = process.descriptors()?;
        let found = open.values().find(|descriptor| hosts.contains(*descriptor));
        expect(found.is_none(), "no process inside holds a socket of the host's network", || {
            let number = process.inner_pid().unwrap_or_default();
            format!("/proc/{number}/fd in the container has {open:?}, of which {found:?} is one")
        })?;
    }
    Ok(())
}

pub fn needs_the_privilege(trial: &Trial) -> Held {
    bridged(trial, &[])?.exit(0)?;
    let start = trial.start().without(Capability::CAP_NET_ADMIN).options(["--network", "bridge"]);
    let ending = start.command([trial.inside("probe")]).finish()?;
    refuses(&ending, "--network bridge without CAP_NET_ADMIN")
}

/// An address of the subnet that nobody has.
fn free_address(trial: &Trial, agent: &Agent) -> Result<Ipv4Addr, Broken> {
    let (address, subnet) = place(agent)?;
    let taken = [address, gateway(agent)?];
    let size = broadcast(&subnet).to_bits() - subnet.destination.to_bits();
    loop {
        let number = trial.number(1..i32::try_from(size).unwrap_or(i32::MAX));
        let free = Ipv4Addr::from_bits(subnet.destination.to_bits() + number.cast_unsigned());
        if !taken.contains(&free) {
            return Ok(free);
        }
    }
}

/// The last address of a subnet.
fn broadcast(subnet: &Route) -> Ipv4Addr {
    Ipv4Addr::from_bits(subnet.destination.to_bits() | !subnet.mask.to_bits())
}
