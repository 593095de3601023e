"""Whatever is killed: nothing is left within a second, no claim is refuted, the next session works."""

from __future__ import annotations

import pytest
from kills import KILLED, NOBODY, ON_STAGE, kills
from sessions import PASSES, Project

pytest_plugins = ["stand_ins"]


@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_kills(project: Project, seed: int) -> None:
    """Ten random kills in sessions with and without workers; `tests/soak.py` makes more."""
    project.experiment(KILLED)
    done = [*kills(project, 10, 300, seed)]

    victims = [kill.victim for kill in done if kill.victim != NOBODY]
    assert len(victims) == 10, done
    assert "pytest" in victims
    assert [victim for victim in victims if victim.endswith(ON_STAGE)]
    assert not [kill for kill in done if kill.left]
    assert not [kill for kill in done if kill.refuted]

    project.experiment(PASSES)
    ended = project.run()
    assert ended.status == 0, ended.output
    assert "1 passed" in ended.output
    finished = [run["finished"] is not None for run in project.runs()]
    assert finished[-1]
    assert all(finished) or "incomplete" in (project.reports / "index.html").read_text()
