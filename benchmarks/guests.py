"""Which kernel a benchmark is about."""

from __future__ import annotations

import argparse

from harness.errors import UnmetNeedError
from harness.hosts.guest import GuestPlace
from harness.kernels.choice import choose


def asked_for(description: str | None, version: str) -> tuple[str, GuestPlace]:
    """The version on the command line, or that one where none is, and a place with its guests, prepared."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", nargs="?", default=version, help="of the kernel (default: %(default)s)")
    asked: str = parser.parse_args().version
    try:
        guests = GuestPlace(choose([asked], "", print)[0])
    except UnmetNeedError as problem:
        parser.error(str(problem))
    guests.prepare(print)
    return asked, guests
