"""Runs on disk: ``reports/<run>/run.json``, written as experiments finish, read back whole or in part.

One record stands on one line and the end of the document is rewritten with each: at any moment the file is
valid JSON, and a file that a crash cut in the middle of a write loses that one record only.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from harness.errors import LabError, UnmetNeedError
from harness.evidence import SCHEMA, SCRIPT_NAME, HostDescription, Record, Run, Script

FILE = "run.json"
_RECORDS = b'"records":['


class UnreadableRunError(Exception):
    """A run can't be read; the message names the file, what is wrong and the next step."""


class RunWriter:
    """Appends records to one run's file; a run's folder is never used twice."""

    def __init__(self, reports: Path, run: Run) -> None:
        """Make the run's folder and write the head of its file.

        Raises:
            UnmetNeedError: the reports can't be written there; names the folder and the remedy.
        """
        self._run = run
        self.folder = reports / run.id
        self._hosts: dict[str, HostDescription] = {}
        self._appended = 0
        head, _ = msgspec.json.encode(run).split(_RECORDS, 1)
        try:
            reports.mkdir(mode=0o755, exist_ok=True)
            self.folder.mkdir(mode=0o755)
            self._file = os.open(self.folder / FILE, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            self._end = os.pwrite(self._file, head + _RECORDS, 0)
            self._close_document(finished=None, exit_status=None)
        except OSError as error:
            if not isinstance(error, FileExistsError):
                shutil.rmtree(self.folder, ignore_errors=True)
            raise UnmetNeedError(
                f"cannot write reports to {reports}: {error.strerror}; "
                "free it or choose another folder with --reports=DIR"
            ) from error

    def describe_host(self, host: HostDescription) -> None:
        """Note what a host is; written with the next record."""
        self._hosts[host.name] = host

    def append(self, record: Record) -> None:
        """Write a finished experiment down.

        Raises:
            LabError: the disk refused; names the file and the system's reason.
        """
        line = (b",\n" if self._appended else b"\n") + msgspec.json.encode(record)
        end = self._end
        try:
            self._write_scripts(record)
            self._end = self._write(line, end)
            self._close_document(finished=None, exit_status=None)
            self._appended += 1
        except OSError as error:
            self._end = end
            with contextlib.suppress(OSError):
                self._close_document(finished=None, exit_status=None)
            raise LabError(f"cannot write {self.folder / FILE}: {error.strerror}") from error

    def _write_scripts(self, record: Record) -> None:
        """Make the record's scripts files that can be run as they lie there."""
        for script in record.scripts:
            file = self.folder / script_file(self._appended + 1, script)
            file.parent.mkdir(mode=0o755, exist_ok=True)
            file.write_text(script.text, encoding="utf-8")
            file.chmod(0o755)

    def finish(self, finished: str, exit_status: int) -> None:
        """Mark the run as complete.

        Raises:
            LabError: the disk refused; names the file and the system's reason.
        """
        try:
            self._close_document(finished=finished, exit_status=exit_status)
        except OSError as error:
            raise LabError(f"cannot write {self.folder / FILE}: {error.strerror}") from error
        finally:
            os.close(self._file)

    def _close_document(self, *, finished: str | None, exit_status: int | None) -> None:
        """Write what stands behind the records, over what stood there before."""
        rest = {"hosts": self._hosts, "finished": finished, "exit_status": exit_status}
        length = self._write(b"\n]," + msgspec.json.encode(rest)[1:] + b"\n", self._end)
        os.ftruncate(self._file, length)

    def _write(self, data: bytes, offset: int) -> int:
        while data:
            written = os.pwrite(self._file, data, offset)
            data, offset = data[written:], offset + written
        return offset


def script_file(number: int, script: Script) -> str:
    """Where a script of a run's record, counted from 1, lies below the run's folder.

    Raises:
        ValueError: the script's name could lead elsewhere.
    """
    if not re.fullmatch(SCRIPT_NAME.strip("^$"), script.name):
        raise ValueError(f"{script.name!r} is no name for a script's file")
    return f"scripts/e{number}-{script.name}"


def new_id() -> str:
    """A name for a run that sorts by time, to the millisecond: ``2026-11-23T21-40-05-123-3fa9``."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y-%m-%dT%H-%M-%S}-{now.microsecond // 1000:03d}-{secrets.token_hex(2)}"


def file_of(folder: Path) -> Path:
    """The file of a run that a person named by its folder or by the file itself, as a baseline is."""
    return folder if folder.suffix == ".json" and not folder.is_dir() else folder / FILE


def read(file: Path) -> Run:
    """A run from its file, with whatever records a crash left whole.

    Raises:
        UnreadableRunError: no such file, no run, or one of a newer schema.
    """
    return _decode(_content(file), file)


def _content(file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UnreadableRunError(
            f"cannot read {file}: {error.strerror}; name a run's folder or its {FILE}"
        ) from error
    version = _schema_of(content)
    if version is None:
        raise UnreadableRunError(
            f"{file} is not a run of nslab: expected a JSON object with a number as 'schema'"
        )
    if version > SCHEMA:
        raise UnreadableRunError(
            f"{file} has schema {version}, this nslab reads up to {SCHEMA}: read it with a newer nslab"
        )
    return content


def _schema_of(content: bytes) -> int | None:
    """The schema's number, from the start of the file: the rest may be of any later form, or cut."""
    found = re.match(rb'\s*{\s*"schema"\s*:\s*([1-9]\d{0,9})\s*[,}]', content[:100])
    return int(found[1]) if found else None


def _decode(content: bytes, file: Path) -> Run:
    try:
        return msgspec.json.decode(content, type=Run)
    except msgspec.ValidationError as error:
        raise UnreadableRunError(f"{file} is not a run of nslab: {error}") from error
    except msgspec.DecodeError:
        return _salvage(content, file)


def _salvage(content: bytes, file: Path) -> Run:
    """The whole records of a file whose end is missing; the run is then incomplete."""
    lines = content.split(b"\n")
    try:
        run = msgspec.json.decode(lines[0] + b"]}", type=Run)
    except msgspec.MsgspecError as error:
        raise UnreadableRunError(f"{file} is damaged from its first line on: {error}") from error
    return msgspec.structs.replace(run, records=list(_whole_records(lines[1:])))


def _whole_records(lines: list[bytes]) -> Iterator[Record]:
    for line in lines:
        try:
            yield msgspec.json.decode(line.removesuffix(b","), type=Record)
        except msgspec.MsgspecError:
            return


def folders(reports: Path) -> list[Path]:
    """Every run's folder, newest first."""
    try:
        found = [path for path in reports.iterdir() if _is_run(path)]
    except OSError:
        return []
    return sorted(found, key=lambda path: path.name, reverse=True)


def _is_run(folder: Path) -> bool:
    try:
        return (folder / FILE).is_file()
    except PermissionError:
        # Somebody else's: it is there, and reading it will say why it can't be read.
        return True
