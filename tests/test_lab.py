"""Does `lab` make the environment once, repair it after anything, and otherwise stay out of the way?"""

import os
import select
import shutil
import signal
from pathlib import Path

import pytest
from checkouts import LAB, SECONDS, Checkout

pytest_plugins = ["stand_ins"]

SHELLS = [shell for shell in ("sh", "dash", "busybox sh", "bash") if shutil.which(shell.split()[0])]


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
