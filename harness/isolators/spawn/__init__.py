"""The port as a library: start a program as Go's ``os/exec`` does. Standard library of Python 3.8 only.

``description`` is what is to be started, ``steps`` the system calls for it in Go's order, ``machine`` runs
them, ``process`` puts the three together. It is carried to hosts as an archive beside ``isolate.py``.
"""
