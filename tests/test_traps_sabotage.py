"""The experiments about the traps of SysProcAttr, with faulty ports: each fault refutes its claim alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from broken_ports import REFUTED

from harness import runs

ROOT = Path(__file__).parent.parent
TIMEOUT = 300


def test_each_fault_refutes_its_claim_alone(tmp_path: Path) -> None:
    """A port without a trap fails that trap's experiment and no other; the port as it is fails none."""
    command = [sys.executable, "-m", "pytest", "experiments/test_go_traps.py", "-p", "tests.broken_ports"]
    asked = [f"--isolator={','.join(['python', *REFUTED])}", f"--reports={tmp_path}"]
    ran = subprocess.run(
        [*command, *asked, "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    (folder,) = runs.folders(tmp_path)

    records = runs.read(folder / runs.FILE).records
    seen = {(each.isolator, name_of(each.test)): set[str]() for each in records}
    for each in records:
        seen[each.isolator, name_of(each.test)].add(each.outcome)

    refuted = {(name, experiment) for name, (_, _, experiment) in REFUTED.items()}
    assert {which for which, outcomes in seen.items() if outcomes != {"passed"}} == refuted
    assert all(seen[which] == {"failed"} for which in refuted)
    assert {experiment for _, experiment in refuted} == {experiment for _, experiment in seen}


def name_of(test: str) -> str:
    """An experiment's name without its parameters."""
    found = re.search(r"::test_(\w+)", test)
    assert found
    return found[1]
