"""Programs that are sent to a host together: each is answered as if it had been sent alone, in its turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.errors import LabError
from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.propagation.operations import Operation
from harness.propagation.programs import OPENINGS, parse, replay
from harness.search.differential import shown
from harness.search.kernel import TOGETHER, Kernel, disagreement, wider_worker, worker
from harness.worker import Worker

MANY = [OPENINGS[number % len(OPENINGS)] for number in range(2 * TOGETHER + 3)]
"""Two full messages and a part of one."""


@pytest.fixture(scope="module")
def running() -> Iterator[Worker]:
    """A worker on this machine."""
    with Stage(Notebook()) as stage, worker(stage) as running:
        yield running


@pytest.fixture
def messages(running: Worker, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is sent to it."""
    sent: list[Any] = []
    send = running.send

    def recorded(request: Any) -> None:
        sent.append(request)
        send(request)

    monkeypatch.setattr(running, "send", recorded)
    return sent


def test_each_program_is_answered_in_its_turn(running: Worker, messages: list[Any]) -> None:
    """Few messages carry many programs, and each answer is that of its program."""
    alone = {tuple(program): shown(Kernel(running).run(replay(program))) for program in MANY}
    messages.clear()
    kernel = Kernel(running)

    for program in MANY:
        kernel.send(program)
    assert len(messages) == 2
    assert [shown(kernel.receive()) for _ in MANY] == [alone[tuple(program)] for program in MANY]
    assert len(messages) == 3


def test_what_waits_is_sent_when_it_is_asked_for(running: Worker, messages: list[Any]) -> None:
    """Nobody waits for the answer to a program that has not been sent; what is sent is sent once."""
    kernel = Kernel(running)
    alone = shown(kernel.run(replay(OPENINGS[1])))
    messages.clear()

    kernel.send(OPENINGS[1])
    assert not messages
    assert shown(kernel.receive()) == alone
    kernel.send(OPENINGS[1])
    kernel.flush()
    kernel.flush()
    assert len(messages) == 2
    assert shown(kernel.receive()) == alone


@pytest.mark.parametrize(
    ("asked", "said"),
    [(Operation("bind", 0, "/a", "\ud800"), "surrogates"), (Operation("bend", 0), "no operation: bend")],
)
def test_what_breaks_the_worker_is_no_answer_to_those_beside_it(asked: Operation, said: str) -> None:
    """What cannot be asked for is an error of the lab, also for the program before it and the next one."""
    with Stage(Notebook()) as stage, worker(stage) as running:
        kernel = Kernel(running)
        kernel.send(OPENINGS[1])
        kernel.send([asked])
        with pytest.raises(LabError, match=said):
            kernel.receive()
        with pytest.raises(LabError, match="has ended"):
            kernel.run(replay(OPENINGS[1]))


@pytest.mark.parametrize(
    "covers", ["bind /a /", "mount t1 /a; move /a /", "make-shared /; bind / /a; mount t1 /a"]
)
def test_paths_begin_at_the_first_mount_of_a_namespace(running: Worker, covers: str) -> None:
    """Also for who comes back to a namespace where another mount lies over the root, as the model has it."""
    program = replay(parse(f"unshare; {covers}; ns1: mount t2 /b; mount t3 /b; ns1: umount /b; bind /b /a"))

    assert not disagreement(program, Kernel(running).run(program))


def test_who_works_somewhere_keeps_no_namespace() -> None:
    """A process whose working directory keeps a mount busy does not keep alive a namespace that ends."""
    with Stage(Notebook()) as stage, wider_worker(stage) as running:
        kernel = Kernel(running)
        kernel.send(parse("make-shared /; unshare; make-slave /; cwd /a; ns1: exit"))
        *_, (_, before), (_, after) = kernel.receive()

    assert not before, "control: to work somewhere changes no table"
    assert "master:" not in after[0]
