"""``isolate --description``: read a description, start what it says and tell of it."""

import os

from harness.isolators.spawn.description import DescriptionError, read
from harness.isolators.spawn.machine import UnknownMachineError
from harness.isolators.spawn.process import Started, StartError, start

__all__ = ["MisusedError", "StartError", "start_described"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional


class MisusedError(Exception):
    """A file that is no description, or a machine that cannot start any."""


def start_described(file: bytes, told: "Optional[int]", environment: "List[bytes]") -> int:
    """The PID of what was started; ``told`` is the descriptor to report on.

    Raises:
        StartError: it was not started.
        MisusedError: there is nothing to start.
    """
    try:
        if told is not None:
            os.set_inheritable(told, False)
        with open(file, encoding="utf-8") as opened:
            description = read(opened.read())
        started = start(description, environment)
    except StartError as error:
        number = f',"Errno":{error.number}' if error.number else ""
        _tell(told, f'"Error":{_quoted(str(error))}{number}')
        raise
    except OSError as error:
        raise MisusedError(f"{os.fsdecode(file)}: {error.strerror}") from None
    except (DescriptionError, UnicodeDecodeError, UnknownMachineError) as error:
        raise MisusedError(f"{os.fsdecode(file)}: {error}") from None
    _tell_start(told, started)
    return started.pid


def _tell_start(told: "Optional[int]", started: Started) -> None:
    pidfd = ',"PidFD":true' if started.pidfd >= 0 else ""
    _tell(told, f'"Pid":{started.pid}{pidfd}')


def _tell(told: "Optional[int]", fields: str) -> None:
    """Write the report, which json would not be worth importing for."""
    if told is not None:
        os.write(told, f"{{{fields}}}\n".encode("utf-8", "surrogateescape"))
        os.close(told)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter >= " " else f"\\u{ord(letter):04x}" for letter in escaped) + '"'
