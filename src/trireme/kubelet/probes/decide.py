"""From a probe's answers to its result, by thresholds. Pure.

In: a probe's thresholds, its state, one answer. Out: the new state and what to report. Called by
probes/manager. Rules: reference "Probes".
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trireme.api.core import v1 as core

LIVENESS = "Liveness"
READINESS = "Readiness"
STARTUP = "Startup"
KINDS = (STARTUP, LIVENESS, READINESS)

# The results before the first answer: alive, not ready, unknown whether started.
INITIAL: dict[str, bool | None] = {LIVENESS: True, READINESS: False, STARTUP: None}


class State(msgspec.Struct, frozen=True):
    """``last`` answer, how many times in a ``row``, and whether probing is ``held``."""

    last: bool | None = None
    row: int = 0
    held: bool = False


class ProbeResults(msgspec.Struct, frozen=True):
    """Latest results by container id: True passed, False failed, absent unknown."""

    liveness: Mapping[str, bool] = {}
    startup: Mapping[str, bool] = {}
    readiness: Mapping[str, bool] = {}


def of(container: core.Container, kind: str) -> core.Probe | None:
    return {
        LIVENESS: container.livenessProbe,
        READINESS: container.readinessProbe,
        STARTUP: container.startupProbe,
    }[kind]


def step(kind: str, probe: core.Probe, state: State, passed: bool) -> tuple[State, bool | None]:
    """One answer: the next state, and the result to report (``None``: threshold not reached)."""
    row = state.row + 1 if state.last is passed else 1
    threshold = (probe.successThreshold or 1) if passed else (probe.failureThreshold or 3)
    if row < threshold:
        return State(passed, row), None
    # Probing ends after a result that restarts the container, and after a startup.
    held = (kind == LIVENESS and not passed) or kind == STARTUP
    return State(passed, 0 if held else row, held), passed


def may_run(kind: str, probe: core.Probe, *, age: float, started: bool) -> bool:
    """``age``: seconds since the container started; ``started``: its startup probe passed."""
    if age < probe.initialDelaySeconds:
        return False
    return started == (kind != STARTUP)
