"""What is counted of trials: fields by kinds of world."""

from __future__ import annotations

from typing import Any

from harness.equivalence.incomparable import ANY
from harness.equivalence.strategies import FIELDS
from harness.equivalence.tally import COLUMNS, TOTAL, WORLDS, Tally, Trial

NEWUTS, NEWUSER = 0x4000000, 0x10000000
GO, OLD_GO = "go1.27.3", "go1.21.13"


def trial(*fields: str, around: dict[str, Any] | None = None, **attributes: Any) -> Trial:
    """A trial with these fields and attributes."""
    description = {"Path": "/probe", "SysProcAttr": attributes}
    usual = {"terminal": False, "without": [], "ignored": [], "blocked": []}
    return {"fields": [*fields], "description": description, **usual, **(around or {})}


def cells(tally: Tally, field: str, version: str = GO) -> dict[str, str | int]:
    """A field's row, by the columns' names."""
    if field == ANY:
        return dict(zip(TOTAL, tally.total("root", version), strict=True))
    (found,) = (row for row in tally.rows("root", version) if row[1] == field)
    return dict(zip(COLUMNS, found, strict=True))


def test_every_field_has_its_row() -> None:
    """There is a row for each field, whether it was tried or not."""
    rows = [*Tally().rows("an ordinary user", GO)]

    assert [row[1] for row in rows] == [*FIELDS]
    assert {row[0] for row in rows} == {"an ordinary user"}
    assert str(cells(Tally(), "Setsid")["Go and the port"]) == "not tried"


def test_a_trial_counts_once_for_each_of_its_fields() -> None:
    """All trials' row counts a trial of two fields once, and each field's row once too."""
    tally = Tally()
    tally.count(trial("Setsid", "Dir"), started=True, different=False)
    tally.count(trial("Setsid"), started=False, different=False)

    def counted(field: str) -> list[str | int]:
        return [cells(tally, field)[word] for word in ("tried", "started", "refused", "Go and the port")]

    assert counted(ANY) == [2, 1, 1, "equal"]
    assert counted("Setsid") == [2, 1, 1, "equal"]
    assert counted("Dir") == [1, 1, 0, "equal"]


def test_each_trial_has_one_kind_of_namespaces() -> None:
    """A trial is counted by the namespaces it asks for, by either way, and by what the isolator is in."""
    tally = Tally()
    for started, made in (
        (True, trial("Dir")),
        (False, trial("Dir", around={"terminal": True}, Cloneflags=NEWUTS)),
        (True, trial("Dir", around={"without": [0]}, Unshareflags=NEWUSER | NEWUTS)),
        (True, trial("Dir", Cloneflags=NEWUSER, UidMappings=[])),
    ):
        tally.count(made, started=started, different=False)

    assert [cells(tally, "Dir")[world] for world in WORLDS] == [
        "1/1",
        "0/1",
        "1/1",
        "1/1",
        "0/1",
        "1/1",
    ]


def test_what_is_not_compared_is_told_with_its_reason() -> None:
    """A field that a version of Go lacks counts nothing; one of which values are left out names them."""
    tally = Tally()
    tally.count(trial("PidFD", "maps", PidFD=0), started=True, different=False)

    assert (cells(tally, "PidFD")["tried"], cells(tally, "PidFD")["Go and the port"]) == (1, "equal")
    lacking = cells(tally, "PidFD", OLD_GO)
    assert (lacking["tried"], lacking["Go and the port"]) == (0, "not compared: there is no such field")
    told = str(cells(tally, "maps")["Go and the port"])
    assert told.startswith("equal; not compared: without a new user namespace; ")


def test_what_was_never_started_is_not_plainly_equal() -> None:
    """Where every trial was refused, the verdict says that nothing was seen of their worlds."""
    tally = Tally()
    tally.count(trial("cgroup"), started=False, different=False)

    assert cells(tally, "cgroup")["Go and the port"] == "equal, but none was started"


def test_a_difference_is_told_of_each_field() -> None:
    """Where trials differ, the rows of their fields say how many."""
    tally = Tally()
    tally.count(trial("Setsid", "Dir"), started=True, different=True)
    tally.count(trial("Setsid"), started=True, different=False)

    said = {field: cells(tally, field)["Go and the port"] for field in (ANY, "Setsid", "Dir", "Args")}
    assert said == {ANY: "1 different", "Setsid": "1 different", "Dir": "1 different", "Args": "not tried"}
