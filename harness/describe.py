"""What a host is: the kernel, the distribution and the tools' versions, asked with one command."""

from __future__ import annotations

import re

from harness.evidence import HostDescription
from harness.hosts.base import LabHost

_QUESTIONS = {
    "kernel": "uname -r",
    # Ubuntu's kernels name the version they are made from here, Debian's in what uname says.
    "build": "cat /proc/version_signature 2>/dev/null || uname -v",
    "architecture": "uname -m",
    "distribution": ". /etc/os-release; echo $PRETTY_NAME",
    "util-linux": "unshare --version",
    "procps": "ps --version",
    "psmisc": "pstree --version",
    "libc": "getconf GNU_LIBC_VERSION || ldd --version",
    "sh": "readlink -f /bin/sh",
    "runc": "runc --version",
    "crun": "crun --version",
}
_FIELDS = ("kernel", "build", "architecture", "distribution")
_SEPARATOR = "--nslab--"


def describe(host: LabHost) -> HostDescription:
    """Ask the host; a tool that is not there has no version."""
    asked = " ; ".join(
        f"{{ {question} ; }} 2>&1 | head -n 1; echo {_SEPARATOR}" for question in _QUESTIONS.values()
    )
    answers = dict(zip(_QUESTIONS, host.run(asked).stdout.split(f"{_SEPARATOR}\n"), strict=False))
    tools = {name: _version(answer) for name, answer in answers.items() if name not in _FIELDS}
    return HostDescription(
        name=host.name,
        kind=host.kind,
        user=host.user,
        **{field: answers[field].strip() for field in _FIELDS},
        tools={name: version for name, version in tools.items() if version},
    )


def _version(answer: str) -> str:
    """The version in a tool's first line, or a path as it stands; empty where the tool is missing."""
    line = answer.strip()
    if line.startswith("/"):
        return line.rsplit("/", 1)[-1] if ":" not in line else ""
    match = re.search(r"\d+(\.\d+)+", line)
    return match[0] if match and "not found" not in line else ""
