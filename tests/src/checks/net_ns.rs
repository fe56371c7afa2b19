//! Step 07: a network of its own.

mod bridge;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use anyhow::Context;

use super::Check;
use crate::judge::kernel::Process;
use crate::judge::network::interfaces_of_a_new_namespace;
use crate::judge::trial::Trial;
use crate::judge::verdict::{Held, expect};
use crate::patience::stretched;

/// The checks that this step brings.
pub const CHECKS: &[Check] = &[
    Check {
        name: "net-ns/own-network-namespace",
        asserts: "The command is in a network namespace of its own, with no interface but `lo`.",
        read: "CLONE_NEWNET in clone(2); network_namespaces(7)",
        holds: own_network_namespace,
    },
    Check {
        name: "net-ns/loopback-is-up",
        asserts: "The command reaches its own ports at 127.0.0.1.",
        read: "network_namespaces(7); `lo` of a new namespace is down until somebody brings it up",
        holds: loopback_is_up,
    },
    Check {
        name: "net-ns/host-listeners-are-out-of-reach",
        asserts: "Neither side reaches what listens at 127.0.0.1 on the other.",
        read: "network_namespaces(7): each namespace has ports of its own",
        holds: host_listeners_are_out_of_reach,
    },
    Check {
        name: "net-ns/abstract-sockets-are-separate",
        asserts: "Neither side reaches an abstract socket of the other.",
        read: "unix(7), under Abstract sockets; network_namespaces(7)",
        holds: abstract_sockets_are_separate,
    },
    Check {
        name: "net-ns/host-network-cannot-be-changed",
        asserts: "Root inside takes an interface down, and the host's is as it was.",
        read: "netdevice(7), network_namespaces(7)",
        holds: host_network_cannot_be_changed,
    },
    Check {
        name: "net-ns/host-network-is-the-hosts",
        asserts: "With `--network host` the command is in the host's network namespace.",
        read: "the contract, under 07-net-ns",
        holds: host_network_is_the_hosts,
    },
    Check {
        name: "net-ns/bridge-gives-an-address-and-a-route",
        asserts: "On a bridge the command has an address, and a default route to the host.",
        read: "ip-link(8), under type bridge; veth(4), ip-route(8)",
        holds: bridge::gives_an_address_and_a_route,
    },
    Check {
        name: "net-ns/bridge-carries-connections-both-ways",
        asserts: "On a bridge the host reaches the command, and the command the host.",
        read: "veth(4); are both of its ends up, and the bridge?",
        holds: bridge::carries_connections_both_ways,
    },
    Check {
        name: "net-ns/containers-reach-each-other",
        asserts: "On a bridge two containers reach each other.",
        read: "ip-link(8), under type bridge",
        holds: bridge::containers_reach_each_other,
    },
    Check {
        name: "net-ns/addresses-are-distinct",
        asserts: "Containers that start at the same time get different addresses.",
        read: "the contract, under 07-net-ns; what does the kernel hand out once only?",
        holds: bridge::addresses_are_distinct,
    },
    Check {
        name: "net-ns/ip-is-the-one-asked-for",
        asserts: "With `--ip` the command has that address.",
        read: "ip-address(8)",
        holds: bridge::ip_is_the_one_asked_for,
    },
    Check {
        name: "net-ns/impossible-ip-is-125",
        asserts: "An address that is in use, or that a container cannot have, gives status 125.",
        read: "the contract, under 07-net-ns",
        holds: bridge::impossible_ip_is_125,
    },
    Check {
        name: "net-ns/subnet-is-chosen-or-refused",
        asserts: "`--subnet` is the bridge's; one that collides with a route of the host is 125.",
        read: "ip-route(8): the longest prefix wins, so one of the two would be cut off",
        holds: bridge::subnet_is_chosen_or_refused,
    },
    Check {
        name: "net-ns/the-last-takes-the-bridge-along",
        asserts: "The last container leaves the host's interfaces, routes and rules as before.",
        read: "the contract, under `What is left afterwards`",
        holds: bridge::the_last_takes_the_bridge_along,
    },
    Check {
        name: "net-ns/the-next-run-clears-up",
        asserts: "What a killed step left of its bridge is gone after the next run.",
        read: "the contract, under `What is left afterwards`",
        holds: bridge::the_next_run_clears_up,
    },
    Check {
        name: "net-ns/no-socket-of-the-hosts-inside",
        asserts: "No process inside holds a netlink socket of the host's, an init included.",
        read: "netlink(7); pidfd_getfd(2): root inside could take it, and use it",
        holds: bridge::no_socket_of_the_hosts_is_inside,
    },
    Check {
        name: "net-ns/bridge-needs-the-privilege",
        asserts: "Without the right to make a bridge `--network bridge` gives status 125.",
        read: "CAP_NET_ADMIN in capabilities(7)",
        holds: bridge::needs_the_privilege,
    },
];

fn own_network_namespace(trial: &Trial) -> Held {
    let agent = trial.start().agent()?;
    let hosts = Process::host(trial.host)?.namespace("net")?;
    expect(agent.command.namespace("net")? != hosts, "/proc/PID/ns/net is not the host's", || {
        format!("both are net:[{hosts}]")
    })?;
    // Some kernels put more into it than `lo`: see fb_tunnels_only_for_init_net.
    let (interfaces, new) = (agent.command.interfaces()?, interfaces_of_a_new_namespace(trial)?);
    expect(interfaces == new, &format!("the only interfaces inside are {new:?}"), || {
        format!("/proc/PID/net/dev has {interfaces:?}")
    })
}

fn loopback_is_up(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    let (port, word) = (agent.must("listen 0")?, trial.word());
    let answer = agent.order(&format!("connect 127.0.0.1:{port} {word}"))?;
    expect(answer.is_ok(), "inside, 127.0.0.1 is reached", || format!("{answer:?}"))?;
    let heard = agent.must("accept")?;
    expect(heard == word, "the command hears itself at 127.0.0.1", || format!("it hears {heard:?}"))
}

fn host_listeners_are_out_of_reach(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    let hosts = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
    let address = hosts.local_addr().context("getsockname")?;
    let answer = agent.order(&format!("connect {address} hello"))?;
    expect(answer.is_err(), "what listens at 127.0.0.1 on the host is not reached inside", || {
        format!("the container's command connected to the host's {address}")
    })?;
    // The container's may happen to be the same port, and then the host would reach itself.
    drop(hosts);
    let port: u16 = agent.must("listen 0")?.parse().context("a port")?;
    let answer = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    expect(answer.is_err(), "what listens inside is not reached at 127.0.0.1 on the host", || {
        format!("the host connected to 127.0.0.1:{port}")
    })
}

fn abstract_sockets_are_separate(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    let name = trial.word();
    let address = SocketAddr::from_abstract_name(&name).context("an abstract name")?;
    let hosts = UnixListener::bind_addr(&address).context("listen on an abstract socket")?;
    let answer = agent.order(&format!("connect {name} hello"))?;
    expect(answer.is_err(), "an abstract socket of the host is not reached inside", || {
        format!("the container's command connected to the host's @{name}")
    })?;
    drop(hosts);
    agent.must(&format!("listen {name}"))?;
    // Where the name is free, it is not the container's.
    let answer = UnixListener::bind_addr(&address).map_err(|error| error.kind());
    expect(
        answer.as_ref().err() != Some(&ErrorKind::AddrInUse),
        "a name that is taken inside is free on the host",
        || format!("bind on the host says that @{name} is in use"),
    )
}

fn host_network_cannot_be_changed(trial: &Trial) -> Held {
    let mut agent = trial.start().agent()?;
    let hosts = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
    let address = hosts.local_addr().context("getsockname")?;
    agent.must("down lo")?;
    // Through an interface that is down nothing comes back, not even a refusal.
    let answer = TcpStream::connect_timeout(&address, stretched(Duration::from_secs(1))).map(drop);
    expect(answer.is_ok(), "when root inside takes lo down, the host's stays up", || {
        format!("the host connects to its own {address}: {answer:?}")
    })
}

fn host_network_is_the_hosts(trial: &Trial) -> Held {
    let agent = trial.start().options(["--network", "host"]).agent()?;
    let (own, hosts) =
        (agent.command.namespace("net")?, Process::host(trial.host)?.namespace("net")?);
    expect(own == hosts, "with --network host /proc/PID/ns/net is the host's", || {
        format!("it is net:[{own}], the host's net:[{hosts}]")
    })
}
