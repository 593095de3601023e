"""What a person sees while kernels are fetched and booted: a moving bar on a terminal, else one line each."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from harness.kernels import cache

if TYPE_CHECKING:
    from typing_extensions import Self


def say(line: str) -> None:
    """Tell a person, in a line, what is waited for."""
    print(f"nslab: {line}", file=sys.stderr, flush=True)


class Arrived(ProgressColumn):
    """How much of what is being downloaded is on the disk; rich asks ten times a second."""

    def render(self, task: Task) -> Text:
        """Megabytes, as long as there are any."""
        arrived = cache.size(cache.folder("downloads")) if not task.finished else 0
        return Text(f"{arrived / 1e6:.0f} MB" if arrived > 1e6 else "")


class Waiting:
    """Called with what is done next, it ends what was shown before; it is a :data:`cache.Progress`."""

    def __init__(self, console: Console | None = None) -> None:
        """Show it on ``console``, by default the standard error stream."""
        self._console = console or Console(stderr=True)
        columns = (TextColumn("nslab: {task.description}"), BarColumn(20), Arrived(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=self._console)
        self._task: TaskID | None = None

    def __call__(self, line: str) -> None:
        """Begin the next thing."""
        if not self._console.is_terminal:
            say(line)
            return
        self._end()
        self._task = self._bars.add_task(line, total=None)

    def _end(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, total=1, completed=1)
            self._task = None

    def __enter__(self) -> Self:
        """Itself, shown."""
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what was shown on the terminal; what was cut short is left unfinished."""
        if kind is None:
            self._end()
        if self._console.is_terminal:
            # Elsewhere this writes an empty line, though nothing was shown.
            self._bars.stop()
