"""Probes: what a kernel is asked for facts. They run on the host: the standard library of Python 3.8 only.

Each subject is a module; importing it registers its probes. ``harness.facts`` carries this package to a host.
"""
