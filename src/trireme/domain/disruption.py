"""PodDisruptionBudgets: whether one more pod may be evicted, and the budget's status afterwards.

In: pods and PodDisruptionBudgets, times in epoch seconds. Out: decisions and changed budgets.
Called by: the eviction subresource, the disruption controller. Rules:
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.domain import pods
from trireme.machinery import labels, time
from trireme.machinery.meta import Condition

ALLOWED: Final = "DisruptionAllowed"
SUFFICIENT, INSUFFICIENT = "SufficientPods", "InsufficientPods"
SYNC_FAILED: Final = "SyncFailed"
# With more evicted pods than this that the controller did not observe yet, none is evicted.
MAX_UNOBSERVED: Final = 2000


class Refused(Exception):
    """The budget does not allow the eviction. ``again``: it may later."""

    def __init__(self, message: str, *, again: bool, retry_after: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.again = again
        self.retry_after = retry_after


def needs_no_budget(pod: Pod) -> bool:
    """Pods whose eviction disrupts nothing: they do not run yet, or no longer."""
    ended = pod.status.phase in ("Succeeded", "Failed", "Pending")
    return ended or pod.metadata.deletionTimestamp is not None


def may_race(pod: Pod) -> bool:
    """Whether such a pod could come to need a budget before it is deleted."""
    return pod.status.phase == "Pending" and pod.metadata.deletionTimestamp is None


def guarding(pod: Pod, budgets: Iterable[PodDisruptionBudget]) -> list[PodDisruptionBudget]:
    """The budgets of the pod's namespace that select it."""
    found = []
    for budget in budgets:
        try:
            selector = labels.from_struct(budget.spec.selector)
        except ValueError:
            continue
        if selector.matches(pod.metadata.labels):
            found.append(budget)
    return found


def spares_unhealthy(pod: Pod, budget: PodDisruptionBudget) -> bool:
    """Whether an unready pod may go without counting against the budget (KEP-3017)."""
    if pods.is_ready(pod):
        return False
    if budget.spec.unhealthyPodEvictionPolicy == "AlwaysAllow":
        return True
    return budget.status.currentHealthy >= budget.status.desiredHealthy > 0


def take(budget: PodDisruptionBudget, pod: str, now: float) -> None:
    """Count one eviction against the budget, which is changed. Raises Refused."""
    status, name = budget.status, budget.metadata.name
    if status.observedGeneration < budget.metadata.generation:
        raise not_observed(name)
    if status.disruptionsAllowed < 0:
        raise Refused("pdb disruptions allowed is negative", again=False)
    if len(status.disruptedPods) > MAX_UNOBSERVED:
        message = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise Refused(message, again=False)
    if status.disruptionsAllowed == 0:
        raise Refused(_refusal_message(budget), again=True)
    status.disruptionsAllowed -= 1
    if status.disruptionsAllowed == 0:
        set_allowed(budget, now)
    status.disruptedPods = {**status.disruptedPods, pod: time.format(now)}


def not_observed(name: str) -> Refused:
    """The refusal of a budget whose spec the controller did not observe yet."""
    message = f"The disruption budget {name} is still being processed by the server."
    return Refused(message, again=True, retry_after=10)


def _refusal_message(budget: PodDisruptionBudget) -> str:
    name, status = budget.metadata.name, budget.status
    said = _condition(budget)
    closed = said is not None and said.status == "False" and bool(said.message)
    now = f"The disruption budget {name} does not allow evicting pods currently"
    if said is not None and closed and said.reason == SYNC_FAILED:
        return f"{now} because it failed sync: {said.message}"
    if status.currentHealthy <= status.desiredHealthy:
        return (
            f"The disruption budget {name} needs {status.desiredHealthy} healthy pods and has "
            f"{status.currentHealthy} currently"
        )
    if said is not None and closed:
        return f"{now} ({said.reason}): {said.message}"
    return now


def set_allowed(budget: PodDisruptionBudget, now: float) -> None:
    """Set the condition DisruptionAllowed by the number of allowed disruptions."""
    allowed = budget.status.disruptionsAllowed > 0
    reason = SUFFICIENT if allowed else INSUFFICIENT
    set_condition(budget, "True" if allowed else "False", reason, "", now)


def set_condition(
    budget: PodDisruptionBudget, value: str, reason: str, message: str, now: float
) -> None:
    """Condition DisruptionAllowed; the time of its last transition stays where its value does."""
    status = budget.status
    known = _condition(budget)
    same = known is not None and known.status == value
    made = Condition(
        type=ALLOWED,
        status=value,
        reason=reason,
        message=message,
        observedGeneration=status.observedGeneration,
        lastTransitionTime=known.lastTransitionTime if known and same else time.format(now),
    )
    others = [item for item in status.conditions if item.type != ALLOWED]
    status.conditions = [*others, made]


def _condition(budget: PodDisruptionBudget) -> Condition | None:
    return next((item for item in budget.status.conditions if item.type == ALLOWED), None)
