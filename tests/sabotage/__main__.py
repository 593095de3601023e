"""Prints what is declared: the page (``python -m tests.sabotage``) or the data of the report (``… json``)."""

import sys

from .table import data, render

print(data() if sys.argv[1:] == ["json"] else render(), end="")
