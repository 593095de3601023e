"""Checkouts on which `lab` can be tried without anything being downloaded.

Each has a blank in its path, and a PATH of its own: links to the few real tools that lab uses, and stubs for
Python, pip, the package manager and every tool that lab looks for.
"""

import os
import select
import shutil
import signal
import subprocess
from pathlib import Path

LAB = Path(__file__).parents[1] / "lab"
REAL_TOOLS = "cat chmod cksum cp date flock grep head ls mkdir readlink rm sh stat sync tail"
STUB_TOOLS = (
    "unshare nsenter setpriv mount ipcs ipcmk ps pstree ss hostname domainname runc busybox apt-get dpkg"
)
ADMIN_DIRECTORIES = ":/usr/local/sbin:/usr/sbin:/sbin"  # lab searches them too, but here only stubs count
SECONDS = 60  # far beyond what anything here takes

# Python's stub answers lab's probe, and makes a .venv whose Python is the stub again, with pip.
PYTHON = """
case "$1 $2" in
    "-I -c") echo "3.12.1 $0" ;;
    "-m venv") echo venv >>"$DID" && mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip")
        echo pip >>"$DID"
        if [ -p "$GATE" ]; then echo at the gate >"$ARRIVED" && read -r _ <"$GATE"; fi
        if [ -e "$PIP_FAILS" ]; then echo "no route to the index" && exit 1; fi
        echo 'echo this is nslab' >.venv/bin/nslab && chmod +x .venv/bin/nslab ;;
    *) echo "unexpected: $*" >&2 && exit 99 ;;
esac
"""


class Checkout:
    """A copy of lab with a PATH of stubs; `did` lists what the stubs were asked to do."""

    def __init__(self, directory: Path) -> None:
        """Make it below the directory."""
        self.root = directory / "a checkout"
        self.bin = directory / "bin"
        self.gate, self.arrived = directory / "gate", directory / "arrived"
        self.pip_fails, self.did_file = directory / "pip-fails", directory / "did"
        self.processes: list[subprocess.Popen[str]] = []
        self.root.mkdir()
        self.bin.mkdir()
        self.did_file.touch()
        text = LAB.read_text()
        assert text.count(ADMIN_DIRECTORIES) == 1
        (self.root / "lab").write_text(text.replace(ADMIN_DIRECTORIES, ""))
        (self.root / "pyproject.toml").write_text('[project]\nname = "nslab"\n')
        for tool in REAL_TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
        for tool in STUB_TOOLS.split():
            self.stub(tool, "exit 0")
        self.stub("python3", PYTHON)
        self.stub("id", "echo 1000")

    def stub(self, name: str, script: str) -> None:
        """Make a program that lab finds on its PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    @property
    def stamp(self) -> Path:
        """The file that lab writes last."""
        return self.root / ".venv" / ".lab"

    @property
    def did(self) -> list[str]:
        """What the stubs were asked to do, in order."""
        return self.did_file.read_text().split("\n")[:-1]

    def start(
        self, *command: str, shell: str = "sh", cwd: Path | None = None, lab: str = "./lab", **variables: str
    ) -> subprocess.Popen[str]:
        """Start lab as the leader of a process group of its own."""
        process = subprocess.Popen(  # the tests' own words
            [*(shutil.which(shell.split()[0]) or shell, *shell.split()[1:]), lab, *command],
            cwd=cwd or self.root,
            env={
                "PATH": str(self.bin),
                "DID": str(self.did_file),
                "GATE": str(self.gate),
                "ARRIVED": str(self.arrived),
                "PIP_FAILS": str(self.pip_fails),
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def run(
        self, *command: str, shell: str = "sh", cwd: Path | None = None, lab: str = "./lab", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run lab to its end."""
        process = self.start(*command, shell=shell, cwd=cwd, lab=lab, **variables)
        out, err = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start_and_wait_in_pip(self, shell: str = "sh") -> subprocess.Popen[str]:
        """Start a first call that stands still in the middle of its installation."""
        os.mkfifo(self.gate)
        os.mkfifo(self.arrived)
        process = self.start("nslab", shell=shell)
        descriptor = os.open(self.arrived, os.O_RDONLY | os.O_NONBLOCK)
        assert select.select([descriptor], [], [], SECONDS)[0], "pip was never called"
        os.close(descriptor)
        return process

    def open_gate(self) -> None:
        """Let the installation that stands still go on."""
        with self.gate.open("w") as gate:
            gate.write("go on\n")

    def end(self) -> None:
        """Leave no process behind."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=SECONDS)
