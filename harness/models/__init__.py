"""Reference models: what the manual pages promise of each kind of namespace, as pure functions.

A model is a module with ``start`` (the first state), ``choices`` (what an actor could do in a state, legal or
not), ``step`` (the state after an act, and the answer that it gets), ``view`` (all that the actors then see)
and ``LINES`` (each act as a line that a person could type). States are immutable. Each rule of a page is a
function of its own, marked by :func:`harness.models.rules.rule`.
"""

from __future__ import annotations

from types import ModuleType

from harness.models import groups, ipc, pid, user, uts

MODELS: dict[str, ModuleType] = {"uts": uts, "ipc": ipc, "pid": pid, "user": user, "groups": groups}
"""Kind of namespace, or what of it is modelled apart, to its model."""
