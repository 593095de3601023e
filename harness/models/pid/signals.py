"""Who can signal whom, and what a signal does: end, stop and continue across PID namespaces."""

from __future__ import annotations

from dataclasses import replace

from harness.models.acts import OK
from harness.models.pid.deaths import ended
from harness.models.pid.sight import sees
from harness.models.pid.state import Process, State
from harness.models.rules import rule

DOES = {"KILL": "ends", "TERM": "ends", "USR1": "handled", "STOP": "stops", "CONT": "continues"}
"""What each signal does to a process that is no init; SIGUSR1 alone has a handler."""


@rule(OK, "EINVAL")
def may_signal(state: State, sender: Process, target: int) -> str:
    """Not even a descriptor of a process lets one signal it that is not in the own namespace or below.

    Source: pidfd_send_signal(2), ERRORS; pid_namespaces(7), Nesting PID namespaces.
    """
    return OK if sees(state, sender.space, target) else "EINVAL"


@rule("ends", "handled", "stops", "continues", "ignored")
def effect(state: State, sender: Process, target: int, name: str) -> str:
    """An init gets what it handles, from an ancestor namespace SIGKILL and SIGSTOP, from all SIGCONT.

    Source: pid_namespaces(7), The namespace init process; signal(7), Standard signals, for all others; of
    SIGCONT to an init no manual page tells: prepare_signal() in kernel/signal.c.
    """
    space = state.processes[target].space
    if name in ("USR1", "CONT") or state.spaces[space].init != target:
        return DOES[name]
    return DOES[name] if name in ("KILL", "STOP") and sender.space != space else "ignored"


@rule(True, False)
def waits(process: Process, name: str, done: str) -> bool:
    """What is sent to who is stopped waits until it is continued, all but SIGKILL and SIGCONT.

    Source: POSIX.1-2017, System Interfaces, 2.4.3, Signal Actions, SIG_DFL.
    """
    return process.stopped and name != "KILL" and done not in ("continues", "ignored")


@rule()
def with_waiting(waiting: tuple[str, ...], done: str) -> tuple[str, ...]:
    """However often a signal is sent before it comes, it comes once.

    Source: signal(7), Queueing and delivery semantics for standard signals.
    """
    return waiting if done in waiting else (*waiting, done)


def sent(state: State, sender: Process, target: int, name: str) -> tuple[State, str]:
    """The state after a signal, and what its sender is told."""
    answer = may_signal(state, sender, target)
    if answer != OK:
        return state, answer
    process, done = state.processes[target], effect(state, sender, target, name)
    if waits(process, name, done):
        waiting = with_waiting(process.waiting, done)
        return state.having(target, replace(process, waiting=waiting)), OK
    return _done(state, target, done), OK


def _done(state: State, target: int, done: str) -> State:
    process = state.processes[target]
    if done == "ends":
        return ended(state, target)
    if done == "handled":
        return state.having(target, replace(process, signals=process.signals + 1))
    if done == "stops":
        return state.having(target, replace(process, stopped=True))
    if done == "continues":
        return _continued(state, target, process)
    return state


def _continued(state: State, target: int, process: Process) -> State:
    """A process that goes on, after what waited: a second SIGSTOP is forgotten."""
    state = state.having(target, replace(process, stopped=False, waiting=()))
    # Who ends by one signal handles no other; whoever handles one is then ended.
    for done in sorted((it for it in process.waiting if it != "stops"), reverse=True):
        state = _done(state, target, done)
    return state
