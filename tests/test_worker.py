"""The worker: a module that is carried to a host and answers there, and what is said when it does not."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import LabError, WaitExpiredError
from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.worker import Worker

LIMIT = 20.0

ECHO = """
import os, time
def answer(request):
    if request == "die":
        os._exit(3)
    if request == "hang":
        time.sleep(3600)
    return [os.getpid(), os.readlink("/proc/self/ns/mnt"), request]
if __name__ == "__channelexec__":
    for request in channel:
        channel.send(answer(request))
"""


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A host of this machine."""
    with Stage(Notebook(), LIMIT) as made:
        yield made


@pytest.fixture
def echo(tmp_path: Path) -> types.ModuleType:
    """A module for a host, never run on this side."""
    file = tmp_path / "echo.py"
    file.write_text(ECHO)
    module = types.ModuleType("echo")
    module.__file__ = str(file)
    return module


def test_module_answers_from_within_the_host(stage: Stage, echo: types.ModuleType) -> None:
    """A request of plain values is answered by a process in the host's namespaces, again and again."""
    here = str(Path("/proc/self/ns/mnt").readlink())
    there = stage.check_output("readlink /proc/self/ns/mnt")
    request = {"names": ["a", "b"], "bytes": b"\xff", "pair": (1, None, True)}

    with Worker(stage, echo) as worker:
        answers = [worker.ask(request) for _ in range(3)]

    assert answers == [[answers[0][0], there, request]] * 3
    assert there != here


def test_module_imports_those_beside_it(stage: Stage, tmp_path: Path) -> None:
    """A module that is carried imports those that are carried beside it, each of which those before it."""
    texts = {
        "one": "ONE = 1",
        "one.two": "from one import ONE\nTWO = ONE + 1",
        "main": "from one.two import TWO\nchannel.send(channel.receive() * TWO)",
    }
    modules = []
    for name, text in texts.items():
        module = types.ModuleType(name)
        module.__file__ = str(tmp_path / f"{name}.py")
        Path(module.__file__).write_text(text)
        modules.append(module)

    with Worker(stage, modules[-1], beside=modules[:-1]) as worker:
        assert worker.ask(21) == 42


def test_dead_worker_is_an_error(stage: Stage, echo: types.ModuleType) -> None:
    """A worker that ends without an answer is an error that tells how it ended."""
    worker = Worker(stage, echo)

    with pytest.raises(LabError, match=r"worker echo on stage has ended: exit status 3; it said nothing"):
        worker.ask("die")
    with pytest.raises(LabError, match="has ended"):
        worker.ask("again")


def test_silent_worker_is_an_expired_wait(stage: Stage, echo: types.ModuleType) -> None:
    """A worker that does not answer is ended, and the wait says what it was for."""
    worker = Worker(stage, echo)
    pid = worker.ask("where")[0]

    with pytest.raises(WaitExpiredError, match=r"waited 0.2 s for an answer of worker echo on stage"):
        worker.ask("hang", wait=0.2)

    # It returns, in time, only because the process has ended.
    stage.check_output("while kill -0 %s 2>/dev/null; do :; done", str(pid))


def test_broken_module_is_an_error(stage: Stage, tmp_path: Path) -> None:
    """A module that raises an error is an error of the lab, with the module's own traceback."""
    module = types.ModuleType("broken")
    module.__file__ = str(tmp_path / "broken.py")
    Path(module.__file__).write_text("raise RuntimeError('no such thing')\n")

    worker = Worker(stage, module)

    with pytest.raises(LabError, match="no such thing"):
        worker.ask("anything")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        pytest.param("/nonexistent", "No such file", id="no-such-program"),
        pytest.param("/bin/true", "does not start", id="no-python"),
        pytest.param("/bin/sh", "does not start", id="another-program"),
    ],
)
def test_host_without_python_is_an_error(
    stage: Stage, echo: types.ModuleType, program: str, said: str
) -> None:
    """Where what is named as Python is missing or none, the worker does not start, and that is told."""
    stage.python = program

    with pytest.raises(LabError, match=said):
        Worker(stage, echo)


def test_interpreter_that_says_nothing_is_an_expired_wait(
    stage: Stage, echo: types.ModuleType, tmp_path: Path
) -> None:
    """An interpreter that never says that it is there is given up in time, and ended."""
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    silent.chmod(0o755)
    stage.python = stage.carry("silent", {"silent": silent.read_bytes()}) + "/silent"

    with pytest.raises(WaitExpiredError, match="the start of worker echo on stage"):
        Worker(stage, echo, wait=0.3)


def test_worker_ends_with_its_host(echo: types.ModuleType) -> None:
    """A worker that nobody closes ends when its host is closed."""
    with Stage(Notebook(), LIMIT) as stage:
        worker = Worker(stage, echo)
        worker.ask("where")

    with pytest.raises(LabError, match="has ended"):
        worker.ask("where")
