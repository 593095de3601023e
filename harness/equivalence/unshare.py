"""What unshare(1) and a description can both say: drawn once, written down for either."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from harness.probes.syscalls import KINDS, NEWUSER

_OPTIONS = {"mnt": "--mount"}
_OWN = [{"ContainerID": 0, "HostID": 0, "Size": 1}]
_ENVIRONMENT = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NSLAB=1"]


class Both(NamedTuple):
    """One wish in two languages."""

    trial: dict[str, Any]
    """The description's side."""
    arguments: list[str]
    """The command line of unshare(1)."""


@st.composite
def wishes(draw: st.DrawFn, scratch: str) -> Both:
    """New namespaces, a map, a root, a directory, identities and a death signal, each or none of them.

    Not drawn, for the two differ: a new root without a directory (unshare(1) goes to its ``/``, Go stays
    where it is), and a death signal with other identities, whose assumption clears it (prctl(2)): unshare(1)
    asks for it before, Go after.
    """
    kinds = draw(st.sets(st.sampled_from([*KINDS]), max_size=4).map(sorted))
    command = ["unshare", "--fork", *(_OPTIONS.get(kind, f"--{kind}") for kind in kinds)]
    attributes: dict[str, Any] = {"Cloneflags": sum(KINDS[kind] for kind in kinds)}
    described: dict[str, Any] = {
        "Path": f"{scratch}/probe",
        "Env": _ENVIRONMENT,
        "Stdin": 0,
        "Stdout": 1,
        "Stderr": 2,
    }
    if "mnt" in kinds:
        # unshare(1) makes all mounts private unless told otherwise; a clone leaves them as they are.
        command += ["--propagation", "unchanged"]
    if attributes["Cloneflags"] & NEWUSER and draw(st.booleans()):
        command.append("--map-root-user")
        attributes.update(UidMappings=_OWN, GidMappings=_OWN)
    if draw(st.booleans()):
        command += [f"--root={scratch}/root", "--wd=/inner"]
        attributes["Chroot"] = "root"
        described.update(Path="/probe", Dir="/inner")
    change = draw(st.sampled_from(["", "identities", "signal"]))
    if change == "signal":
        command.append("--kill-child=TERM")
        attributes["Pdeathsig"] = 15
    if change == "identities" and not attributes["Cloneflags"] & NEWUSER:
        command += ["--setgid=1000", "--setuid=1000"]
        attributes["Credential"] = {"Uid": 1000, "Gid": 1000}
    trial = {"description": {**described, "SysProcAttr": attributes}, "terminal": draw(st.booleans())}
    return Both({**trial, "without": [], "ignored": [], "blocked": []}, [*command, "--", described["Path"]])
