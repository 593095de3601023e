"""What does a UTS namespace isolate?

Rule (uts_namespaces(7)): a new UTS namespace starts with copies of the caller's hostname and domain name;
what is set in one namespace is visible to its members only.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.evidence import Value
from harness.hosts.base import LabHost
from harness.isolate import Isolate
from harness.namespaces import INITIAL_UTS_INODE, Identity
from harness.shell import Shell

LIMIT = 64
"""The longest hostname and domain name in bytes: ``__NEW_UTS_LEN`` (uname(2))."""

LABEL = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"
NAMES = st.from_regex(rf"{LABEL}(\.{LABEL}){{0,3}}", fullmatch=True).filter(lambda name: len(name) <= LIMIT)

SERIES = st.lists(NAMES, min_size=1, max_size=4)
"""Names that are set one after the other: one command for all costs a fraction of one for each."""

FEWER = settings(max_examples=settings().max_examples // 2)
"""For a search that sets a series of names each time."""

OWN_PID = "read pid rest </proc/self/stat; echo $pid"
"""Tells a shell's PID as the host knows it: its ``/proc`` is the host's."""


def uts_of(host: LabHost, pid: int | str) -> Identity:
    """The UTS namespace of a process, seen from the host."""
    return Identity.parse(host.check_output("readlink /proc/%s/ns/uts", str(pid)))


def shown(inside: Shell, command: str, names: list[str]) -> list[str]:
    """The lines that a command shows which is given one name after the other."""
    return inside.check_output(" && ".join([command] * len(names)), *names).splitlines()


@pytest.mark.claim(id="uts-1")
def test_daemon_is_in_the_hosts_namespace(host: LabHost, daemon: int) -> None:
    """A listening daemon of the host is in the UTS namespace of the host's shell."""
    shell = uts_of(host, "self")

    assert uts_of(host, daemon) == shell

    elsewhere = Identity.parse(host.check_output("unshare --uts readlink /proc/self/ns/uts"))
    assert elsewhere != shell, "control: a process in a new namespace would have been told apart"


@pytest.mark.claim(id="uts-1")
def test_initial_namespace_has_the_kernels_constant_number(
    host: LabHost, fact: Callable[[str, Value], None]
) -> None:
    """The initial UTS namespace is number 4026531838 on every boot."""
    kthreadd = host.run("readlink /proc/2/ns/uts")
    if host.run("cat /proc/2/comm").stdout != "kthreadd\n" or kthreadd.rc != 0:
        pytest.skip("this host is not in the initial namespaces: run with --stage=machine as root in a VM")
    initial = Identity.parse(kthreadd.stdout)
    fact("uts.initial_inode", initial.inode)

    assert initial.inode == INITIAL_UTS_INODE
    assert uts_of(host, "self") == initial


@pytest.mark.claim(id="uts-2")
def test_container_is_in_another_namespace(host: LabHost, container: int, daemon: int) -> None:
    """A process in a container is in another UTS namespace than the host's shell."""
    assert uts_of(host, container) != uts_of(host, "self")

    assert uts_of(host, daemon) == uts_of(host, "self"), "control: an uncontained process is in the host's"


@pytest.mark.claim(id="uts-3")
def test_host_container_and_isolated_shell_are_in_three_namespaces(
    host: LabHost, container: int, isolate: Isolate
) -> None:
    """The host's shell, a container and the shell that `uts` started are in three UTS namespaces."""
    inside = isolate("uts").check_output(OWN_PID)

    assert len({uts_of(host, "self"), uts_of(host, container), uts_of(host, inside)}) == 3

    control = isolate().check_output(OWN_PID)
    assert uts_of(host, control) == uts_of(host, "self"), "control: a shell without NEWUTS is in the host's"


@pytest.mark.claim(id="uts-4")
def test_new_namespace_starts_with_the_hosts_name(host: LabHost, isolate: Isolate) -> None:
    """A new UTS namespace starts with the host's name."""
    host.check_output("hostname before-%s", "isolation")

    assert isolate("uts").check_output("hostname") == "before-isolation"


@pytest.mark.claim(id="uts-5")
def test_hostname_set_inside_is_seen_inside(isolate: Isolate) -> None:
    """A hostname that is set inside is seen inside."""
    inside = isolate("uts")
    assert inside.check_output("hostname") != "test"

    inside.check_output("hostname -b test")

    assert inside.check_output("hostname") == "test"
    assert inside.check_output("cat /proc/sys/kernel/hostname") == "test"


@pytest.mark.claim(id="uts-6")
def test_hostname_set_inside_is_not_seen_on_the_host(host: LabHost, isolate: Isolate) -> None:
    """A hostname that is set inside a new UTS namespace is not the host's; without one, it is."""
    before = host.check_output("hostname")

    isolate("uts").check_output("hostname -b test")

    assert host.check_output("hostname") == before

    isolate().check_output("hostname -b test")
    assert host.check_output("hostname") == "test", "control: a shell without NEWUTS changes the host's name"


@pytest.mark.claim(id="uts-5")
def test_any_legal_hostname_is_seen_inside(isolate: Isolate) -> None:
    """Every legal hostname, up to 64 bytes, is seen inside as it was set."""
    inside = isolate("uts")

    @FEWER
    @example(["a", "h" * LIMIT])
    @given(SERIES)
    def search(names: list[str]) -> None:
        assert shown(inside, "hostname -b %s && hostname", names) == names

    search()


@pytest.mark.claim(id="uts-6")
def test_no_legal_hostname_reaches_the_host(host: LabHost, isolate: Isolate) -> None:
    """No hostname that is set inside, of whatever form, is seen on the host."""
    before = host.check_output("hostname")
    inside = isolate("uts")

    @FEWER
    @example(["a", "h" * LIMIT])
    @given(SERIES.filter(lambda names: before not in names))
    def search(names: list[str]) -> None:
        shown(inside, "hostname -b %s", names)

        assert host.check_output("hostname") == before

    search()


@pytest.mark.claim(id="uts-7")
def test_any_domain_name_is_isolated(host: LabHost, isolate: Isolate) -> None:
    """Every domain name, up to 64 bytes, is seen inside and not on the host; without NEWUTS, it is."""
    before = host.check_output("domainname")
    inside = isolate("uts")
    assert inside.check_output("domainname") == before, "a new namespace starts with the host's"

    @FEWER
    @example(["d" * LIMIT])
    @given(SERIES)
    def search(names: list[str]) -> None:
        assert shown(inside, "domainname %s && domainname", names) == names
        assert host.check_output("domainname") == before

    search()
    isolate().check_output("domainname control.example")
    assert host.check_output("domainname") == "control.example", (
        "control: without NEWUTS the host's is changed"
    )


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("sethostname", marks=pytest.mark.claim(id="uts-5")),
        pytest.param("setdomainname", marks=pytest.mark.claim(id="uts-7")),
    ],
)
def test_name_beyond_the_limit_is_refused(
    host: LabHost, isolate: Isolate, call: str, fact: Callable[[str, Value], None]
) -> None:
    """A hostname or domain name of 65 bytes is refused with EINVAL, one of 64 is taken."""
    inside = isolate("uts")
    attempt = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); n = b'n' * {LIMIT + 1}"
    attempt += f"; [print(c.{call}(n, length), ctypes.get_errno()) for length in ({LIMIT}, {LIMIT + 1})]"
    taken, refused = inside.check_output("%s -ISc %s", host.python, attempt).splitlines()
    fact(f"uts.{call}.longest", LIMIT + (refused == "0 0") if taken == "0 0" else 0)

    assert (taken, refused) == ("0 0", "-1 22")


@pytest.mark.claim(id="uts-7")
def test_version_fields_are_the_kernels(host: LabHost, isolate: Isolate) -> None:
    """The other fields of uname(2) are in every UTS namespace those of the running kernel."""
    fields = "uname -s -r -v -m"
    inside = isolate("uts")

    assert inside.check_output(fields) == host.check_output(fields)

    disguised = inside.check_output(f"setarch --uname-2.6 {fields}")
    assert disguised != host.check_output(fields), "control: another version would have been seen"
