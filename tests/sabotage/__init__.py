"""Isolators and hosts that are broken on purpose: the proof that every claim can be refuted.

Only the lab's own tests use them. Each breaks one thing on a disposable stage; ``declared.py`` says which
claims that must refute, and ``tests/test_sabotage.py`` runs the whole document to see that it refutes these
and no others.
"""
