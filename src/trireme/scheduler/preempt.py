"""Preemption: which pods to evict so that one of higher priority fits. Pure, over the columns.

In: an unschedulable pod and its diagnosis; budgets; nominated pods. Out: a ``Plan``: a node and its
victims, or the reason for none. The dry run changes the columns and restores them. Upstream: the
DefaultPreemption plugin and framework/preemption.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.machinery import labels, time
from trireme.scheduler import decide
from trireme.scheduler.decide import Decision, Nominated
from trireme.scheduler.framework import PodInfo, Unschedulable
from trireme.scheduler.profile import Profile
from trireme.scheduler.snapshot.columns import Columns

# How many candidate nodes are enough: a tenth of all, and this many at least.
CANDIDATES_SHARE = 10
CANDIDATES_LEAST = 100
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
PREEMPTED = "PreemptionByScheduler"
_PRIORITY_OFFSET = 2**31


class Budget(msgspec.Struct, frozen=True):
    """The allowed disruptions of a PodDisruptionBudget; those of ``disrupted`` are counted."""

    namespace: str
    selector: labels.Selector
    allowed: int
    disrupted: frozenset[str] = frozenset()


class Plan(msgspec.Struct, frozen=True):
    """Evict ``victims`` on ``node``; without a node, ``message`` has the reason. ``keep``: the
    nomination is unchanged, as victims are still terminating."""

    node: str = ""
    victims: tuple[Pod, ...] = ()
    message: str = ""
    keep: bool = False


@dataclass(frozen=True)
class PreemptionState:
    """The arguments of a plan: the pod, the nodes, nominated pods, and budgets. ``now`` in seconds
    since 1970 stands for the start time of pods that have none."""

    columns: Columns
    pod_info: PodInfo
    profile: Profile
    nominated: Nominated
    budgets: Sequence[Budget]
    now: float


@dataclass(frozen=True)
class Candidate:
    """A node where the pod would fit without ``victims``, the most important first."""

    node: str
    victims: tuple[Pod, ...]
    violations: int


def budgets(found: Iterable[PodDisruptionBudget]) -> list[Budget]:
    """Budgets by the status of PodDisruptionBudgets. One whose selector is missing, empty or
    invalid protects no pod."""
    result = []
    for budget in found:
        try:
            selector = labels.from_struct(budget.spec.selector)
        except ValueError:
            continue
        allowed, disrupted = budget.status.disruptionsAllowed, budget.status.disruptedPods
        namespace = budget.metadata.namespace
        result.append(Budget(namespace, selector, allowed, frozenset(disrupted)))
    return result


def plan(state: PreemptionState, decision: Decision, chance: float) -> Plan:
    """The victims for a pod that ``decision`` found unschedulable. ``chance`` in [0, 1) is the
    offset of the first candidate node."""
    refused = _not_eligible(state)
    if refused:
        return Plan(message=refused, keep=True)
    rows = decision.helpable
    enough = min(len(rows), max(len(rows) // CANDIDATES_SHARE, CANDIDATES_LEAST))
    offset = int(chance * len(rows))
    found: list[Candidate] = []
    reasons: dict[str, int] = {}
    for row in rows[offset:] + rows[:offset]:
        tried = _select_victims(state, row)
        if isinstance(tried, Candidate):
            found.append(tried)
            if len(found) >= enough and any(not item.violations for item in found):
                break
        else:
            for reason in tried:
                reasons[reason] = reasons.get(reason, 0) + 1
    if not found:
        if decision.total > len(rows):
            reasons[NOT_HELPFUL] = decision.total - len(rows)
        text = f"0/{decision.total} nodes are available: {decide.summary(reasons)}."
        return Plan(message=text)
    best = select_candidate(found, state.now)
    return Plan(best.node, best.victims)


def select_candidate(candidates: Sequence[Candidate], now: float) -> Candidate:
    """The candidate with the fewest violations, then the least important victims."""

    def cost(item: Candidate) -> tuple[float, ...]:
        most = priority(item.victims[0])
        first = min(_started(pod, now) for pod in item.victims if priority(pod) == most)
        total = sum(priority(pod) + _PRIORITY_OFFSET for pod in item.victims)
        return item.violations, most, total, len(item.victims), -first

    # Of equals the first counts.
    return min(sorted(candidates, key=lambda item: item.violations > 0), key=cost)


def priority(pod: Pod) -> int:
    """A pod's priority; 0 where none was given."""
    return pod.spec.priority or 0


def _not_eligible(state: PreemptionState) -> str:
    """The reason why a pod may not preempt now, "" when it may."""
    columns, pod_info = state.columns, state.pod_info
    if pod_info.pod.spec.preemptionPolicy == "Never":
        return "not eligible due to preemptionPolicy=Never."
    node = pod_info.pod.status.nominatedNodeName
    row = columns.row_of(node)
    if row is None:
        return ""
    statuses = _statuses(state, row)
    if any(status.unresolvable for status in statuses):
        return ""
    for pod in columns.pods_on(node):
        if priority(pod) < pod_info.priority and _is_leaving_for_another(pod):
            return "not eligible due to a terminating pod on the nominated node."
    return ""


def _is_leaving_for_another(pod: Pod) -> bool:
    return pod.metadata.deletionTimestamp is not None and any(
        item.type == "DisruptionTarget" and item.status == "True" and item.reason == PREEMPTED
        for item in pod.status.conditions
    )


def _select_victims(state: PreemptionState, row: int) -> Candidate | list[str]:
    """The fewest victims on one node, or the reasons that refuse it even without all of them."""
    columns = state.columns
    node = columns.names[row]
    here = sorted(
        (pod for pod in columns.pods_on(node) if priority(pod) < state.pod_info.priority),
        key=lambda pod: (-priority(pod), _started(pod, state.now)),
    )
    if not here:
        return [NO_VICTIMS]
    try:
        for pod in here:
            columns.drop_pod(pod.metadata.uid)
        reasons = [status.reason for status in _statuses(state, row)]
        return reasons or _reprieve(state, row, here)
    finally:
        for pod in here:
            columns.set_pod(pod, node)


def _reprieve(state: PreemptionState, row: int, here: list[Pod]) -> Candidate | list[str]:
    """Reprieve as many victims as fit: first those that violate budgets, by priority."""
    columns = state.columns
    node = columns.names[row]
    violating, others = by_budget(here, state.budgets)
    gone: set[str] = set()
    violations = 0
    for number, pod in enumerate((*violating, *others)):
        columns.set_pod(pod, node)
        if _statuses(state, row):
            columns.drop_pod(pod.metadata.uid)
            gone.add(pod.metadata.uid)
            violations += number < len(violating)
    if not gone:
        # It fits without victims: the pod is retried at the event that made room.
        return [NO_VICTIMS]
    victims = tuple(pod for pod in here if pod.metadata.uid in gone)
    return Candidate(node, victims, violations)


def _statuses(state: PreemptionState, row: int) -> list[Unschedulable]:
    """The statuses that refuse a row, with the pods nominated to it, else without."""
    ahead = state.nominated.get(state.columns.names[row], ())
    found = decide.statuses_with(state.columns, state.pod_info, state.profile, row, ahead)
    if not found and ahead:
        found = decide.statuses_of(state.columns, state.pod_info, state.profile, row)
    return [status for _, status in found]


def by_budget(pods: list[Pod], budgets: Sequence[Budget]) -> tuple[list[Pod], list[Pod]]:
    """Those whose eviction, in this order, would break a budget, and the others."""
    allowed = [budget.allowed for budget in budgets]
    violating: list[Pod] = []
    others: list[Pod] = []
    for pod in pods:
        breaks = False
        for number, budget in enumerate(budgets):
            if _protects(budget, pod):
                allowed[number] -= 1
                breaks = breaks or allowed[number] < 0
        (violating if breaks else others).append(pod)
    return violating, others


def _protects(budget: Budget, pod: Pod) -> bool:
    meta = pod.metadata
    return (
        bool(meta.labels)
        and budget.namespace == meta.namespace
        and not budget.selector.empty()
        and budget.selector.matches(meta.labels)
        and meta.name not in budget.disrupted
    )


def _started(pod: Pod, now: float) -> float:
    return time.parse(pod.status.startTime) if pod.status.startTime else now
