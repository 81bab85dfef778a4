"""What a disruption budget allows, given its pods and how many there should be. Pure.

In: a PodDisruptionBudget, the pods that it selects, the scale of their controllers. Out: its new
status; which evicted pods are still waited for. Called by ``budgets``. Upstream:
pkg/controller/disruption; https://kubernetes.io/docs/concepts/workloads/pods/disruptions/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget, PodDisruptionBudgetStatus
from trireme.domain import disruption, pods
from trireme.machinery import intstr, time

# An evicted pod that is still there after so many seconds was not deleted after all.
DELETION_TIMEOUT: Final = 120.0
# So long a pod may carry DisruptionTarget without being deleted.
STALE_TARGET: Final = 120.0
TARGET: Final = "DisruptionTarget"


def needs_scale(budget: PodDisruptionBudget) -> bool:
    """Whether the number of pods that there should be matters: for all bounds but a number that
    must stay available."""
    spec = budget.spec
    return spec.maxUnavailable is not None or isinstance(spec.minAvailable, str)


def desired_healthy(budget: PodDisruptionBudget, expected: int) -> int:
    """How many pods have to be healthy. ValueError for a percentage that is none."""
    spec = budget.spec
    if spec.maxUnavailable is not None:
        return max(0, expected - intstr.resolve(spec.maxUnavailable, expected, round_up=True))
    if spec.minAvailable is not None:
        return intstr.resolve(spec.minAvailable, expected, round_up=True)
    return 0


@dataclass(frozen=True)
class Disrupted:
    """Evicted pods. ``expected``: those that are yet to go, with the time of their eviction;
    ``late``: those that should be gone; ``recheck``: seconds until the first one is late."""

    expected: dict[str, str]
    late: list[Pod]
    recheck: float | None


def disrupted(budget: PodDisruptionBudget, selected: Iterable[Pod], now: float) -> Disrupted:
    """What became of the pods that the budget let go."""
    expected: dict[str, str] = {}
    late: list[Pod] = []
    left: list[float] = []
    for pod in selected:
        since = budget.status.disruptedPods.get(pod.metadata.name)
        if since is None or pod.metadata.deletionTimestamp is not None:
            continue
        due = time.parse(since) + DELETION_TIMEOUT
        if due <= now:
            late.append(pod)
        else:
            expected[pod.metadata.name] = since
            left.append(due - now)
    return Disrupted(expected, late, min(left, default=None))


def status(
    budget: PodDisruptionBudget,
    selected: Sequence[Pod],
    expected: int,
    gone: Disrupted,
    now: float,
) -> PodDisruptionBudgetStatus:
    """The new status. ``expected``: how many pods there should be."""
    healthy = sum(
        pod.metadata.deletionTimestamp is None
        and pod.metadata.name not in gone.expected
        and pods.is_ready(pod)
        for pod in selected
    )
    desired = desired_healthy(budget, expected)
    made = PodDisruptionBudgetStatus(
        observedGeneration=budget.metadata.generation,
        disruptedPods=gone.expected,
        disruptionsAllowed=max(0, healthy - desired) if expected > 0 else 0,
        currentHealthy=healthy,
        desiredHealthy=desired,
        expectedPods=expected,
        conditions=budget.status.conditions,
    )
    changed = replace(budget, status=made)
    disruption.set_allowed(changed, now)
    return changed.status


def failed(budget: PodDisruptionBudget, message: str, now: float) -> PodDisruptionBudgetStatus:
    """The status when it is not known how many pods there should be: none may go."""
    changed = replace(budget, status=replace(budget.status, disruptionsAllowed=0))
    disruption.set_condition(changed, "False", disruption.SYNC_FAILED, message, now)
    return changed.status


def stale_in(pod: Pod, now: float) -> float | None:
    """Seconds until the pod's condition DisruptionTarget is stale, 0 when it is; None when the pod
    has none, or goes."""
    condition = pods.condition(pod, TARGET)
    if (
        condition is None
        or condition.status != "True"
        or condition.reason == "TerminationByKubelet"
        or pod.metadata.deletionTimestamp is not None
        or pods.is_finished(pod)
    ):
        return None
    since = time.parse(condition.lastTransitionTime) if condition.lastTransitionTime else 0.0
    return max(0.0, since + STALE_TARGET - now)
