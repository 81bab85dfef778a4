"""How far the number of replicas may move, after what was proposed and done before. Pure.

In: a proposal, the bounds and rules of an autoscaler, its ``History``. Out: ``Decision``. Called by
``reconcile``. Upstream: pkg/controller/podautoscaler/horizontal.go;
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#configurable-scaling-behavior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from trireme.api.autoscaling.v2.hpa_types import HorizontalPodAutoscalerBehavior, HPAScalingRules

# Without a behavior, replicas at most double, but may always become this many.
_UP_FACTOR, _UP_LEAST = 2, 4
_HIGHER: Final = (
    "recent recommendations were higher than current one, applying the highest recent "
    "recommendation"
)
_LOWER: Final = (
    "recent recommendations were lower than current one, applying the lowest recent recommendation"
)
READY: Final = ("ReadyForNewScale", "recommended size matches current size")
_IN_RANGE: Final = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_MANY: Final = (
    "TooManyReplicas",
    "the desired replica count is more than the maximum replica count",
)
_TOO_FEW: Final = (
    "TooFewReplicas",
    "the desired replica count is less than the minimum replica count",
)
_UP_LIMIT: Final = (
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
_DOWN_LIMIT: Final = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)


@dataclass
class History:
    """What one autoscaler proposed and did: (time, replicas) and (time, change)."""

    recommendations: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)
    downs: list[tuple[float, int]] = field(default_factory=list)

    def note(
        self, behavior: HorizontalPodAutoscalerBehavior | None, change: int, now: float
    ) -> None:
        """Keep a change for as long as a policy looks back."""
        if behavior is None:
            return
        rules = behavior.scaleUp if change > 0 else behavior.scaleDown
        longest = max((item.periodSeconds for item in rules.policies), default=0) if rules else 0
        events = self.ups if change > 0 else self.downs
        events[:] = [item for item in events if item[0] >= now - longest]
        events.append((now, abs(change)))


@dataclass(frozen=True)
class Decision:
    """The number of replicas; reason and message of AbleToScale and of ScalingLimited, and whether
    it is limited."""

    replicas: int
    able: tuple[str, str]
    limit: tuple[str, str]
    limited: bool


def decide(
    history: History,
    behavior: HorizontalPodAutoscalerBehavior | None,
    current: int,
    proposed: int,
    bounds: tuple[int, int],
    window: float,
    now: float,
) -> Decision:
    """What becomes of a proposal. ``window``: seconds for which the highest recommendation holds,
    where the autoscaler says nothing else."""
    low, high = bounds
    up = behavior.scaleUp if behavior is not None else None
    down = behavior.scaleDown if behavior is not None else None
    if up is None or down is None:
        stable = _stabilized(history, proposed, window, now)
        able = ("ScaleDownStabilized", _HIGHER) if stable != proposed else READY
        replicas, limit = _within(current, stable, low, high)
    else:
        stable = _stabilized_by(history, up, down, current, proposed, window, now)
        able = READY
        if stable != proposed:
            able = (
                ("ScaleUpStabilized", _LOWER)
                if proposed >= current
                else ("ScaleDownStabilized", _HIGHER)
            )
        replicas, limit = _within_rates(history, up, down, current, stable, bounds, now)
    return Decision(replicas, able, limit, replicas != stable)


def _stabilized(history: History, proposed: int, window: float, now: float) -> int:
    recent = [item for item in history.recommendations if item[0] >= now - window]
    highest = max((replicas for _, replicas in recent), default=proposed)
    history.recommendations = [*recent, (now, proposed)]
    return max(highest, proposed)


def _stabilized_by(
    history: History,
    up: HPAScalingRules,
    down: HPAScalingRules,
    current: int,
    proposed: int,
    window: float,
    now: float,
) -> int:
    up_since = now - (up.stabilizationWindowSeconds or 0)
    given = down.stabilizationWindowSeconds
    down_since = now - (window if given is None else given)
    lowest = highest = proposed
    for since, replicas in history.recommendations:
        if since > up_since:
            lowest = min(lowest, replicas)
        if since > down_since:
            highest = max(highest, replicas)
    oldest = min(up_since, down_since)
    kept = [item for item in history.recommendations if item[0] >= oldest]
    history.recommendations = [*kept, (now, proposed)]
    return min(max(current, lowest), highest)


def _within(current: int, desired: int, low: int, high: int) -> tuple[int, tuple[str, str]]:
    most = max(_UP_FACTOR * current, _UP_LEAST)
    if desired < low:
        return low, _TOO_FEW
    if desired > min(high, most):
        return min(high, most), _UP_LIMIT if high > most else _TOO_MANY
    return desired, _IN_RANGE


def _within_rates(
    history: History,
    up: HPAScalingRules,
    down: HPAScalingRules,
    current: int,
    desired: int,
    bounds: tuple[int, int],
    now: float,
) -> tuple[int, tuple[str, str]]:
    low, high = bounds
    if desired > current:
        limit = max(current, _up_limit(history, up, current, now))
        if desired > min(high, limit):
            return min(high, limit), _UP_LIMIT if high > limit else _TOO_MANY
    elif desired < current:
        limit = min(current, _down_limit(history, down, current, now))
        if desired < max(low, limit):
            return max(low, limit), _DOWN_LIMIT if low < limit else _TOO_FEW
    return desired, _IN_RANGE


def _up_limit(history: History, rules: HPAScalingRules, current: int, now: float) -> int:
    if rules.selectPolicy == "Disabled":
        return current
    proposals = []
    for policy in rules.policies:
        before = _before(history, policy.periodSeconds, current, now)
        if policy.type == "Pods":
            proposals.append(before + policy.value)
        else:
            proposals.append(math.ceil(before * (1 + policy.value / 100)))
    return min(proposals) if rules.selectPolicy == "Min" else max(proposals)


def _down_limit(history: History, rules: HPAScalingRules, current: int, now: float) -> int:
    if rules.selectPolicy == "Disabled":
        return current
    proposals = []
    for policy in rules.policies:
        before = _before(history, policy.periodSeconds, current, now)
        if policy.type == "Pods":
            proposals.append(before - policy.value)
        else:
            proposals.append(int(before * (1 - policy.value / 100)))
    return max(proposals) if rules.selectPolicy == "Min" else min(proposals)


def _before(history: History, period: int, current: int, now: float) -> int:
    """How many replicas there were a period ago."""
    since = now - period
    added = sum(change for when, change in history.ups if when > since)
    removed = sum(change for when, change in history.downs if when > since)
    return current - added + removed
