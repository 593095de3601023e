"""Does `lab` make the environment once, repair it after anything, and otherwise stay out of the way?

Each test has a checkout of its own, with a blank in its path, and a PATH of its own: links to the few real
tools that lab uses, and stubs for Python, pip, the package manager and every tool that lab looks for. Nothing
is downloaded.
"""

import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LAB = Path(__file__).parents[1] / "lab"
SHELLS = [shell for shell in ("sh", "dash", "busybox sh", "bash") if shutil.which(shell.split()[0])]
REAL_TOOLS = "cat chmod cksum cp date flock grep head ls mkdir readlink rm sh stat sync tail"
STUB_TOOLS = (
    "unshare nsenter setpriv mount ipcs ipcmk ps pstree ss hostname domainname runc busybox apt-get dpkg"
)
ADMIN_DIRECTORIES = ":/usr/local/sbin:/usr/sbin:/sbin"  # lab searches them too, but here only stubs count
SECONDS = 10  # far beyond what anything here takes

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


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A checkout on which lab was never called."""
    made = Checkout(tmp_path)
    yield made
    made.end()


def test_lab_is_an_executable_shell_script() -> None:
    """`./lab` can be typed as it stands in a checkout."""
    assert os.access(LAB, os.X_OK)
    assert LAB.read_text().startswith("#!/bin/sh\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_first_call_makes_the_environment_and_runs_the_command(checkout: Checkout, shell: str) -> None:
    """One call makes `.venv`, installs the project and runs the command, whatever the shell."""
    result = checkout.run("nslab", shell=shell)

    assert (result.returncode, result.stdout) == (0, "this is nslab\n")
    assert checkout.did == ["venv", "pip"]
    assert "Python 3.12.1" in result.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_second_call_does_nothing_but_the_command(checkout: Checkout, shell: str) -> None:
    """Once the environment is there, lab is silent and starts neither Python, pip nor the package manager."""
    checkout.run("nslab", shell=shell)
    before = checkout.did
    checkout.stub("python3", 'echo "python3 $*" >>"$DID"')

    result = checkout.run("nslab", shell=shell)

    assert (result.returncode, result.stdout, result.stderr) == (0, "this is nslab\n", "")
    assert checkout.did == before


@pytest.mark.parametrize("shell", SHELLS)
def test_exit_status_and_signal_are_the_commands_own(checkout: Checkout, shell: str) -> None:
    """The command replaces lab, so its status, its death and its process are what the caller sees."""
    assert checkout.run("sh", "-c", "exit 7", shell=shell).returncode == 7
    assert checkout.run("sh", "-c", "kill -TERM $$", shell=shell).returncode == -signal.SIGTERM
    process = checkout.start("sh", "-c", "echo $$", shell=shell)
    assert process.communicate(timeout=SECONDS)[0] == f"{process.pid}\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_arguments_arrive_as_they_were_typed(checkout: Checkout, shell: str) -> None:
    """Blanks, globs, quotes and empty arguments reach the command unchanged."""
    arguments = ["a  b", "*", "", "--help", "it's"]

    result = checkout.run("sh", "-c", 'printf "<%s>" "$@"', "sh", *arguments, shell=shell)

    assert result.stdout == "".join(f"<{argument}>" for argument in arguments)


@pytest.mark.parametrize("shell", SHELLS)
def test_killed_installation_is_made_anew(checkout: Checkout, shell: str) -> None:
    """After kill -9 in the middle of pip, the next call starts from an empty environment and finishes."""
    process = checkout.start_and_wait_in_pip(shell)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(SECONDS)
    checkout.gate.unlink()
    leftover = checkout.root / ".venv" / "half-unpacked"
    leftover.touch()

    result = checkout.run("nslab", shell=shell)

    assert (result.returncode, result.stdout) == (0, "this is nslab\n")
    assert checkout.did == ["venv", "pip", "venv", "pip"]
    assert not leftover.exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_two_calls_at_once_install_once(checkout: Checkout, shell: str) -> None:
    """The second call says what it waits for, then uses what the first has made."""
    first = checkout.start_and_wait_in_pip(shell)
    second = checkout.start("nslab", shell=shell)
    assert second.stderr is not None
    assert select.select([second.stderr], [], [], SECONDS)[0], "the second call says nothing"
    assert "another lab is setting up" in second.stderr.readline()
    checkout.open_gate()

    assert first.communicate(timeout=SECONDS)[0] == "this is nslab\n"
    assert second.communicate(timeout=SECONDS)[0] == "this is nslab\n"
    assert checkout.did == ["venv", "pip"]


def test_command_does_not_hold_the_lock(checkout: Checkout) -> None:
    """The lock ends with the installation, not with a command that runs for hours."""
    result = checkout.run("flock", "-n", ".", "cat", "pyproject.toml")

    assert checkout.did == ["venv", "pip"]
    assert "nslab" in result.stdout


def test_failed_installation_shows_the_end_of_its_log(checkout: Checkout) -> None:
    """When pip fails, its last words and the log's place are shown, and the next call tries again."""
    checkout.pip_fails.touch()
    failed = checkout.run("nslab")
    checkout.pip_fails.unlink()

    assert failed.returncode == 2
    assert "no route to the index" in failed.stderr
    assert str(checkout.root / ".venv" / ".lab.log") in failed.stderr
    assert checkout.run("nslab").returncode == 0


def test_changed_pyproject_is_installed_again(checkout: Checkout) -> None:
    """New dependencies go into the environment that is there; if that fails, the next call tries again."""
    checkout.run("nslab")
    with (checkout.root / "pyproject.toml").open("a") as file:
        file.write('dependencies = ["more"]\n')
    checkout.pip_fails.touch()
    assert checkout.run("nslab").returncode == 2
    checkout.pip_fails.unlink()

    result = checkout.run("nslab")

    assert "pyproject.toml has changed" in result.stderr
    assert checkout.did == ["venv", "pip", "pip", "pip"]
    assert checkout.run("nslab").stderr == ""


def test_moved_checkout_is_made_anew(checkout: Checkout) -> None:
    """Programs in an environment name its path, so a moved checkout gets a new one."""
    checkout.run("nslab")
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))

    result = checkout.run("nslab")

    assert (result.returncode, result.stdout) == (0, "this is nslab\n")
    assert checkout.did == ["venv", "pip", "venv", "pip"]


def test_environment_without_its_python_is_made_anew(checkout: Checkout) -> None:
    """After the system's Python was replaced, the environment's link dangles and is not used."""
    checkout.run("nslab")
    (checkout.root / ".venv" / "bin" / "python").unlink()

    assert checkout.run("nslab").returncode == 0
    assert checkout.did == ["venv", "pip", "venv", "pip"]


def test_ordinary_user_is_told_what_to_install(checkout: Checkout) -> None:
    """What is missing and the one command to install it are named once; only experiments are skipped."""
    (checkout.bin / "runc").unlink()
    (checkout.bin / "pstree").unlink()

    first = checkout.run("nslab")

    assert first.returncode == 0
    assert "missing: pstree runc\n" in first.stderr
    assert "sudo apt-get install -y --no-install-recommends psmisc runc\n" in first.stderr
    assert checkout.run("nslab").stderr == ""
    checkout.stub("runc", "exit 0")
    assert "missing: pstree\n" in checkout.run("nslab").stderr
    checkout.stub("pstree", "exit 0")
    assert checkout.run("nslab").stderr == ""
    assert checkout.stamp.read_text().endswith(f"{checkout.root}\n\n")
    assert checkout.did == ["venv", "pip"]


def test_dynamic_busybox_counts_as_missing(checkout: Checkout) -> None:
    """A container's root holds nothing beside busybox, so one that needs a loader does not do."""
    checkout.stub("busybox", "# /lib64/ld-linux-x86-64.so.2")

    result = checkout.run("nslab")

    assert "missing: busybox\n" in result.stderr
    assert "--no-install-recommends busybox-static\n" in result.stderr


def test_nothing_works_without_unshare(checkout: Checkout) -> None:
    """Without the tools that every experiment needs, lab stops before it makes anything."""
    (checkout.bin / "unshare").unlink()

    result = checkout.run("nslab")

    assert (result.returncode, result.stdout) == (2, "")
    assert "cannot go on without unshare\n" in result.stderr
    assert "sudo apt-get install -y --no-install-recommends util-linux\n" in result.stderr
    assert checkout.did == []


def test_root_gets_what_is_missing(checkout: Checkout) -> None:
    """Root's first call installs what is missing, and refreshes the package lists only when it must."""
    lists = checkout.root.parent / "lists"
    (checkout.bin / "runc").unlink()
    checkout.stub("id", "echo 0")
    checkout.stub(
        "apt-get",
        f'echo "apt-get $*" >>"$DID"; lists={shlex.quote(str(lists))}; case $1 in update) echo >"$lists" ;; '
        f'install) [ -e "$lists" ] && cp {checkout.bin}/ps {checkout.bin}/runc ;; esac',
    )

    result = checkout.run("nslab")

    install = "apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 runc"
    assert result.returncode == 0
    assert checkout.did == [install, "apt-get update", install, "venv", "pip"]
    assert "lab: missing" not in result.stderr


def test_root_later_installs_what_an_ordinary_user_could_not(checkout: Checkout) -> None:
    """A later call as root completes a set-up that lacks tools; what root cannot get is tried once."""
    (checkout.bin / "runc").unlink()
    checkout.run("nslab")
    checkout.stub("id", "echo 0")
    checkout.stub("apt-get", 'echo "$1" >>"$DID"; exit 1')

    result = checkout.run("nslab")

    assert "missing: runc" in result.stderr
    assert "install" in checkout.did
    before = checkout.did
    assert checkout.run("nslab").stderr == ""
    assert checkout.did == before


def test_root_gets_the_tools_for_guests_when_kernels_are_asked_for(checkout: Checkout) -> None:
    """QEMU and the rest are installed by the first command that boots kernels, and by no other."""
    checkout.stub("id", "echo 0")
    checkout.stub("apt-get", 'echo "$*" >>"$DID"')
    checkout.run("nslab")
    assert "qemu" not in "".join(checkout.did)

    checkout.run("nslab", "kernels")

    installed = [line for line in checkout.did if "qemu" in line]
    assert installed
    assert installed[0].endswith("qemu-system-x86 mmdebstrap squashfs-tools openssh-client")


def test_too_old_python_is_named(checkout: Checkout) -> None:
    """The message says which Python was found, which is needed, and how to get it."""
    old = "import sys; probe = sys.argv[3]; sys.version_info = (3, 9, 2); exec(probe)"
    checkout.stub("python3", f'exec {shlex.quote(sys.executable)} -c {shlex.quote(old)} "$@"')

    result = checkout.run("nslab")

    assert result.returncode == 2
    assert "Python 3.10 or later" in result.stderr
    assert "3.9.2" in result.stderr
    assert "too old" in result.stderr
    assert "sudo apt-get install -y --no-install-recommends python3-venv\n" in result.stderr


def test_newer_python_beside_an_old_one_is_found(checkout: Checkout) -> None:
    """Where python3 is too old, python3.10 and later are tried by their own names."""
    shutil.move(checkout.bin / "python3", checkout.bin / "python3.12")
    checkout.stub("python3", "exit 3")

    assert checkout.run("nslab").returncode == 0


def test_no_command_shows_the_usage(checkout: Checkout) -> None:
    """Without a command lab shows its usage as an error, with --help as an answer, and sets nothing up."""
    nothing, asked = checkout.run(), checkout.run("--help")

    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout == nothing.stderr
    assert asked.stdout.startswith("usage: ./lab COMMAND")
    assert checkout.did == []


@pytest.mark.parametrize("word", ["--verbose", "no-such-command", "experiments/"])
def test_bad_input_is_one_clear_line(checkout: Checkout, word: str) -> None:
    """What is no command is named, with the next step."""
    (checkout.root / "experiments").mkdir()
    checkout.run("nslab")

    result = checkout.run(word)

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert word in result.stderr
    assert "Next: ./lab" in result.stderr


def test_called_from_elsewhere_through_a_symlink(checkout: Checkout, tmp_path: Path) -> None:
    """The project is found behind a link, and the command runs where the caller is."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to("../a checkout/lab")

    result = checkout.run("sh", "-c", "pwd -P; nslab", cwd=elsewhere, lab="link")

    assert result.stdout == f"{elsewhere.resolve()}\nthis is nslab\n"
    assert checkout.stamp.exists()


def test_environment_is_isolated(checkout: Checkout) -> None:
    """Another environment, PYTHONPATH and PYTHONHOME do not reach the command."""
    show = 'echo "$VIRTUAL_ENV ${PYTHONPATH-unset} ${PYTHONHOME-unset}"'

    result = checkout.run("sh", "-c", show, VIRTUAL_ENV="/other", PYTHONPATH="/other", PYTHONHOME="/other")

    assert result.stdout == f"{checkout.root / '.venv'} unset unset\n"


def test_own_environment_with_the_project_is_used(checkout: Checkout) -> None:
    """A `.venv` that a person made and installed the project in is used as it is."""
    programs = checkout.root / ".venv" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(checkout.bin / "ps", programs / "nslab")

    result = checkout.run("nslab")

    assert (result.returncode, result.stderr) == (0, "")
    assert checkout.did == []
    assert not checkout.stamp.exists()


def test_own_environment_without_the_project_is_left_alone(checkout: Checkout) -> None:
    """A `.venv` that lab did not make is never changed; lab says what to do with it."""
    own = checkout.root / ".venv" / "pyvenv.cfg"
    own.parent.mkdir()
    own.touch()

    result = checkout.run("nslab")

    assert result.returncode == 2
    assert "is not lab's" in result.stderr
    assert list(own.parent.iterdir()) == [own]


def test_unwritable_checkout_is_named(checkout: Checkout) -> None:
    """Where no environment can be made, lab names the place and a way out."""
    (checkout.root / ".venv").symlink_to("/proc/nowhere")

    result = checkout.run("nslab")

    assert result.returncode == 2
    assert f"cannot write {checkout.root / '.venv'}" in result.stderr
    assert "git clone" in result.stderr


def test_lab_alone_is_no_project(checkout: Checkout) -> None:
    """A lab that was copied out of its checkout says what it misses."""
    (checkout.root / "pyproject.toml").unlink()

    result = checkout.run("nslab")

    assert result.returncode == 2
    assert f"no pyproject.toml in {checkout.root}" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_root_is_warned_of_another_users_checkout(checkout: Checkout) -> None:
    """Root hears that someone else can change the code, unless that is who typed sudo."""
    checkout.stub("id", "echo 0")
    checkout.run("nslab")
    os.chown(checkout.root, 1234, 1234)

    assert "warning: root runs code" in checkout.run("nslab").stderr
    assert checkout.run("nslab", SUDO_UID="1234").stderr == ""
