"""What runs on a host to hold a model against its kernel: a director, and the actors of a program.

Standard library of Python 3.8 only, as for :mod:`harness.probes`, whose system calls it uses.
"""
