"""``nslab kernels``: what can be had, what is here, and a terminal in any of them."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness.errors import UnmetNeedError
from harness.hosts.guest import GuestPlace
from harness.kernels import archive, cache, console, qemu, store, template, userland
from harness.kernels.archive import Build
from harness.kernels.choice import Choice, choose
from harness.kernels.store import Kernel
from harness.kernels.template import Template
from harness.kernels.waiting import Waiting, say
from harness.ssh.connection import shell_line

_VARIABLES = {"TERM": os.environ.get("TERM", "dumb"), "LC_ALL": "C.UTF-8"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its own commands to those of ``nslab``."""
    kernels = commands.add_parser("kernels", help="other kernels as hosts: what can be had, what is here")
    kernels.set_defaults(run=_list, all=False, refresh=False)
    own = kernels.add_subparsers(metavar="COMMAND")
    listing = own.add_parser("list", help="the newest build of each series and what is in the cache")
    listing.add_argument("--all", action="store_true", help="every build that the archive offers")
    listing.add_argument("--refresh", action="store_true", help="ask the archive again")
    listing.set_defaults(run=_list)
    for name, run, words in (
        ("fetch", _fetch, "download kernels into the cache"),
        ("remove", _remove, "remove kernels and their templates from the cache"),
        ("boot", _boot, "boot kernels once, so that they are restored in a second later"),
    ):
        command = own.add_parser(name, help=words)
        command.add_argument("version", nargs="+", metavar="VERSION", help="as pytest's --kernels takes them")
        command.add_argument("--modules", default="", metavar="DIR", help="modules for a bzImage")
        command.set_defaults(run=run)
    for name, run, words in (
        ("shell", _shell, "a terminal in a kernel, or one command: shell 7.1 uname -r"),
        ("console", _console, "watch a kernel boot on its serial console; ctrl-a x ends it"),
    ):
        command = own.add_parser(name, help=words)
        command.add_argument("--modules", default="", metavar="DIR", help="modules for a bzImage")
        command.add_argument("version", metavar="VERSION")
        command.set_defaults(run=run)
    # As of util-linux's programs that run others: what follows, options too, is the command's.
    own.choices["shell"].add_argument(
        "argv", nargs=argparse.REMAINDER, metavar="COMMAND ...", help="a command instead of a shell"
    )


_FILE_WIDTH = 1000
"""Columns that a list has which is no terminal's: nothing in it is folded."""


class Line(NamedTuple):
    """A kernel as the list shows it."""

    version: str
    release: str
    source: str
    size: str
    here: str
    boot: str


def _list(options: argparse.Namespace) -> int:
    builds = archive.offered(say, refresh=options.refresh)
    here = {kernel.release: kernel for kernel in store.cached()}
    shown = builds if options.all else archive.newest_of_each_series(builds)
    shown += [build for build in builds if build.release in here and build not in shown]
    table = Table(box=SIMPLE_HEAD)
    for column in Line._fields:
        # A release is what one types again: never folded.
        right, whole = column == "size", column in {"version", "release"}
        table.add_column(column, justify="right" if right else "left", no_wrap=whole)
    for line in _lines(sorted(shown, key=archive.order), here):
        table.add_row(*line)
    Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH).print(table)
    return 0


def _lines(builds: Iterable[Build], here: dict[str, Kernel]) -> Iterable[Line]:
    """What is known of each build; a template is looked for only where it could be."""
    for build in builds:
        kernel = here.get(build.release)
        booted = _template_of(kernel) if kernel else None
        yield Line(
            build.version,
            build.release,
            build.source,
            f"{build.size / 1e6:.0f} MB",
            "template" if booted else "fetched" if kernel else "",
            f"{booted.facts['seconds']} s" if booted else "",
        )


def _template_of(kernel: Kernel) -> Template | None:
    try:
        found = template.find(kernel, userland.get(say)) if userland.here() else None
    except UnmetNeedError:
        # Without QEMU or ssh there is no telling which template would fit.
        return None
    return found if found and found.folder.exists() else None


def _fetch(options: argparse.Namespace) -> int:
    for choice in choose(options.version, options.modules, say):
        with Waiting() as progress:
            kernel = choice.kernel(progress)
        print(f"{kernel.name}: {kernel.release}, {cache.size(kernel.image.parent) / 1e6:.0f} MB in the cache")
    return 0


def _remove(options: argparse.Namespace) -> int:
    """Remove what is here of the named versions; ``all`` removes the userland and the rest, too."""
    kernels = store.cached()
    everything = options.version == ["all"]
    for wish in options.version:
        found = [
            kernel
            for kernel in kernels
            if everything or wish in (kernel.release, kernel.name, archive.series(kernel.name))
        ]
        if not found and not everything:
            known = ", ".join(kernel.name for kernel in kernels) or "none"
            raise UnmetNeedError(f"kernel {wish!r} is not in the cache; there are {known}")
        for kernel in found:
            freed = store.remove(kernel.release) + template.remove(kernel.name)
            print(f"{kernel.name}: removed, {freed / 1e6:.0f} MB freed")
    if everything:
        print(f"userland: removed, {userland.remove() / 1e6:.0f} MB freed")
    return 0


def _boot(options: argparse.Namespace) -> int:
    qemu.version()
    for choice in choose(options.version, options.modules, say):
        place = GuestPlace(choice)
        with Waiting() as progress:
            place.prepare(progress)
        print(f"{place.name}: {place.describe().kernel}")
    return 0


def _shell(options: argparse.Namespace) -> int:
    """Restore a guest, talk to it over this terminal, and end it with the shell."""
    place = GuestPlace(_the_one(options))
    with Waiting() as progress:
        place.prepare(progress)
    began = time.monotonic()
    with _ending_in_order(), contextlib.closing(place.restore()) as vm:
        seconds = time.monotonic() - began
        say(f"{place.name} restored in {seconds:.1f} s; it is thrown away when the shell ends")
        assert vm.connection is not None
        line = shell_line(_argv(options) or ["sh", "-l"], _VARIABLES)
        command = vm.connection.command(line, terminal=sys.stdin.isatty())
        with _terminal_lent():
            return subprocess.run(command, check=False).returncode


def _argv(options: argparse.Namespace) -> list[str]:
    """The command that follows a kernel, without the ``--`` that may part the two."""
    argv: list[str] = options.argv
    return argv[1:] if argv and argv[0] == "--" else argv


@contextlib.contextmanager
def _terminal_lent() -> Iterator[None]:
    """Leave the terminal to what runs in a guest, and put it back: what was killed there could not do so."""
    settings = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    # Ctrl-C is for what runs there.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if settings:
            # There may be no terminal any more.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(sys.stdin, termios.TCSANOW, settings)
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """When the terminal goes away, or somebody asks for the end, clean up first, however often it is said."""
    numbers = [it for it in (signal.SIGHUP, signal.SIGTERM) if signal.getsignal(it) is not signal.SIG_IGN]

    def end(number: int, _: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            # Who was asked for the end is ending: what is asked again must not cut it short.
            if signal.getsignal(number) is end:
                signal.signal(number, handler)


def _console(options: argparse.Namespace) -> int:
    """Boot from nothing with the serial console on this terminal; nothing of it is kept."""
    kernel = _the_one(options).kernel(say)
    with _ending_in_order(), _terminal_lent():
        return console.show(kernel, say)


def _the_one(options: argparse.Namespace) -> Choice:
    """The one kernel that was named, bootable here."""
    qemu.version()
    choices = choose([options.version], options.modules, say)
    if len(choices) != 1:
        raise UnmetNeedError(f"{options.version!r} names {len(choices)} kernels: name one")
    return choices[0]
