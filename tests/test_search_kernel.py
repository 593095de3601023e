"""Programs that are sent to a host together: each is answered as if it had been sent alone, in its turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.propagation.programs import OPENINGS, replay
from harness.search.kernel import TOGETHER, Answer, Kernel, Tables, worker
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


def told(answers: list[Answer]) -> list[tuple[str, Any]]:
    """Answers without the kernel's numbers, which are others each time."""
    tables, result = Tables(), []
    for errno, texts in answers:
        tables.change(texts)
        result.append((errno, tables.shown()))
    return result


def test_each_program_is_answered_in_its_turn(running: Worker, messages: list[Any]) -> None:
    """Few messages carry many programs, and each answer is that of its program."""
    alone = {tuple(program): told(Kernel(running).run(replay(program))) for program in MANY}
    messages.clear()
    kernel = Kernel(running)

    for program in MANY:
        kernel.send(program)
    assert len(messages) == 2
    assert [told(kernel.receive()) for _ in MANY] == [alone[tuple(program)] for program in MANY]
    assert len(messages) == 3


def test_what_waits_is_sent_when_it_is_asked_for(running: Worker, messages: list[Any]) -> None:
    """Nobody waits for the answer to a program that has not been sent."""
    kernel = Kernel(running)

    kernel.send(OPENINGS[1])
    assert not messages
    assert told(kernel.receive())
    kernel.send(OPENINGS[1])
    kernel.flush()
    assert len(messages) == 2
    assert told(kernel.receive())
