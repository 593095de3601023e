"""The harness of nslab: hosts, isolators, shells, evidence and reports."""

__version__ = "0.1.0"
