"""Is a machine over ssh compared when it is at rest, and not while something there is on its way?"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from remote import NAME, Remote, remote
from sessions import LIMIT, PASSES, Project

pytest_plugins = ["stand_ins"]

PUTS_BACK_LATE = f"""
hostname spoiled
echo acting
until grep -q -- '->' /proc/locks; do :; done
hostname {NAME}
"""
"""In place of another session's guardian: the machine is put back only when somebody waits for its lock."""

ENDS_LATE = """#!/bin/sh
/run/nsenter "$@"
sleep 1
"""
"""In place of nsenter(1): it ends after what it had started on the stage, and takes its time."""


@pytest.mark.parametrize("stage", ["machine", "disposable"])
def test_look_before_waits_until_others_have_put_back(project: Project, machine: Remote, stage: str) -> None:
    """What an earlier session's guardian still puts back is not what the machine was before."""
    project.experiment(PASSES)
    acting = ["ssh", "-F", str(machine.config), NAME, f"exec flock /run sh -c {shlex.quote(PUTS_BACK_LATE)}"]
    with subprocess.Popen(acting, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "acting\n"
        try:
            ended = project.run(*machine.options, f"--stage={stage}", "--isolator=unshare")
            other.wait(timeout=LIMIT)
        finally:
            other.kill()

    assert ended.status == 0, ended.output


def test_what_led_to_a_stage_may_end_late(project: Project, tmp_path: Path) -> None:
    """A process that had brought a command to a stage, and has nothing more to do, is not told as left."""
    project.experiment(PASSES)
    with remote(tmp_path / "late") as late:
        late.run("cp $(command -v nsenter) /run/nsenter")
        late.run(f"printf %s '{ENDS_LATE}' >/run/late && chmod 755 /run/late")
        late.run("mount --bind /run/late $(readlink -f $(command -v nsenter))")
        ended = project.run(*late.options, "--isolator=unshare")

    assert ended.status == 0, ended.output
