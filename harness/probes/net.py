"""Network namespaces: what is in a new one, and which settings come along."""

from __future__ import annotations

import os
import socket

from harness.probes.children import in_child, read, write
from harness.probes.mounts import workspace
from harness.probes.registry import Unmeasured, fact, facts
from harness.probes.syscalls import NEWNET, outcome, unshare

SETTINGS = {
    name: "/proc/sys/net/" + name.replace(".", "/")
    for name in (
        "core.somaxconn",
        "ipv4.ip_forward",
        "ipv4.ip_default_ttl",
        "ipv4.ip_local_port_range",
        "ipv4.ip_unprivileged_port_start",
        "ipv4.ping_group_range",
        "ipv4.tcp_syncookies",
        "ipv4.conf.all.rp_filter",
        "ipv6.conf.all.forwarding",
        "unix.max_dgram_qlen",
    )
}
_INHERITED = ("core.somaxconn", "ipv4.ip_forward", "ipv4.ip_default_ttl", "ipv4.ip_unprivileged_port_start")


@facts("net.{}_of_new", SETTINGS)
def of_new(path: str) -> str:
    """What net.{} is in a new network namespace, or the errno.

    Source: Documentation/networking/ip-sysctl.rst.
    """
    unshare(NEWNET)
    failure = outcome(read, path)
    return " ".join(read(path).split()) if failure == "ok" else failure


@facts("net.{}_in_new_namespace", {name: SETTINGS[name] for name in _INHERITED})
def in_new_namespace(path: str) -> str:
    """Whether net.{}, once changed, is `inherited` by a new network namespace or `reset` there.

    Source: network_namespaces(7); Documentation/networking/ip-sysctl.rst.
    """
    unshare(NEWNET)
    if not os.path.exists(path):
        raise Unmeasured("this kernel has no such setting in a network namespace")
    before = read(path)
    write(path, "1")
    unshare(NEWNET)
    return {before: "reset", "1": "inherited"}.get(read(path), "other")


@fact("net.interfaces_of_new")
def interfaces_of_new() -> list[str]:
    """The interfaces of a new network namespace. Source: network_namespaces(7)."""
    unshare(NEWNET)
    return sorted(name for _, name in socket.if_nameindex())


@fact("net.loopback_of_new")
def loopback_of_new() -> str:
    """What connect(2) to 127.0.0.1 says in a new network namespace.

    Source: network_namespaces(7); netdevice(7).
    """
    unshare(NEWNET)
    with socket.socket() as client:
        return outcome(client.connect, ("127.0.0.1", 9))


@facts("net.unix_socket_crosses_{}", {"abstract": "\0nslab", "path": "/tmp/socket"})
def unix_socket_crosses(address: str) -> str:
    """What connect(2) from a child's new network namespace says to a UNIX socket: {words}.

    Source: network_namespaces(7); unix(7), Abstract sockets.
    """
    workspace()

    def connect() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        return outcome(in_child, connect, flags=NEWNET)


@fact("net.socket_stays")
def socket_stays() -> str:
    """What connect(2) says to a listener that was made before its process moved to a new namespace.

    Source: network_namespaces(7); unix(7).
    """
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("\0nslab")
        server.listen()
        unshare(NEWNET)
        return outcome(client.connect, "\0nslab")


@facts("net.raw_socket_{}", {"in_own": NEWNET, "in_hosts": 0})
def raw_socket(flags: int) -> str:
    """What socket(2) says to root of a user namespace who wants a raw socket {words}.

    Source: raw(7); capabilities(7).
    """
    unshare(flags)
    return outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close())


@fact("net.low_port_in_new")
def low_port_in_new() -> str:
    """What bind(2) says to port 80 for root of a new network namespace's user namespace. Source: ip(7)."""
    unshare(NEWNET)
    with socket.socket() as server:
        return outcome(server.bind, ("127.0.0.1", 80))


@fact("net.proc_net_is_link")
def proc_net_is_link() -> str:
    """Where /proc/net leads. Source: proc_net(5); network_namespaces(7)."""
    return os.readlink("/proc/net")
