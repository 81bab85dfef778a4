"""Which pods must go so that a more important one can run: a pure plan over the columns.

In: a pod that fits nowhere, and why; budgets; who is promised which node. Out: a ``Plan``: a node
and its victims, or why there is none. Nodes are tried on the columns themselves, which are as they
were afterwards. Upstream: the DefaultPreemption plugin and framework/preemption.
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

# How many nodes are enough to choose from: a tenth of them, and this many at least.
CANDIDATES_SHARE = 10
CANDIDATES_LEAST = 100
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
PREEMPTED = "PreemptionByScheduler"
_LIFT = 2**31


class Budget(msgspec.Struct, frozen=True):
    """What a PodDisruptionBudget still allows; pods in ``disrupted`` are already accounted for."""

    namespace: str
    selector: labels.Selector
    allowed: int
    disrupted: frozenset[str] = frozenset()


class Plan(msgspec.Struct, frozen=True):
    """``victims`` on ``node`` must go; without a node, ``message`` says why. ``keep``: the pod's
    nomination stands, it waits for victims."""

    node: str = ""
    victims: tuple[Pod, ...] = ()
    message: str = ""
    keep: bool = False


@dataclass(frozen=True)
class Situation:
    """What is looked at: the pod, the nodes, who is promised which of them, and budgets. ``now`` in
    seconds since 1970 is when pods without a start are taken to have started."""

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
    """What PodDisruptionBudgets allow as their status has it. One whose selector is missing, empty
    or cannot be read protects nothing."""
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


def plan(case: Situation, decision: Decision, chance: float) -> Plan:
    """Whom to evict for a pod that ``decision`` placed nowhere. ``chance`` in [0, 1) says which
    nodes are tried first."""
    refused = _not_eligible(case)
    if refused:
        return Plan(message=refused, keep=True)
    rows = decision.helpable
    wanted = min(len(rows), max(len(rows) // CANDIDATES_SHARE, CANDIDATES_LEAST))
    offset = int(chance * len(rows))
    found: list[Candidate] = []
    reasons: dict[str, int] = {}
    for row in rows[offset:] + rows[:offset]:
        tried = _try(case, row)
        if isinstance(tried, Candidate):
            found.append(tried)
            if len(found) >= wanted and any(not item.violations for item in found):
                break
        else:
            for reason in tried:
                reasons[reason] = reasons.get(reason, 0) + 1
    if not found:
        if decision.total > len(rows):
            reasons[NOT_HELPFUL] = decision.total - len(rows)
        text = f"0/{decision.total} nodes are available: {decide.summary(reasons)}."
        return Plan(message=text)
    best = choose(found, case.now)
    return Plan(best.node, best.victims)


def choose(candidates: Sequence[Candidate], now: float) -> Candidate:
    """The node whose victims matter least."""

    def cost(item: Candidate) -> tuple[float, ...]:
        most = priority(item.victims[0])
        first = min(_started(pod, now) for pod in item.victims if priority(pod) == most)
        total = sum(priority(pod) + _LIFT for pod in item.victims)
        return item.violations, most, total, len(item.victims), -first

    # The ones without violations come first, as they are gathered first.
    return min(sorted(candidates, key=lambda item: item.violations > 0), key=cost)


def priority(pod: Pod) -> int:
    """A pod's priority; 0 where none was given."""
    return pod.spec.priority or 0


def _not_eligible(case: Situation) -> str:
    """Why a pod may not evict others now, "" when it may."""
    columns, pod_info = case.columns, case.pod_info
    if pod_info.pod.spec.preemptionPolicy == "Never":
        return "not eligible due to preemptionPolicy=Never."
    node = pod_info.pod.status.nominatedNodeName
    row = columns.row_of(node)
    if row is None:
        return ""
    statuses = _statuses(case, row)
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


def _try(case: Situation, row: int) -> Candidate | list[str]:
    """The fewest victims on one node, or the reasons for which it will not do even without them."""
    columns = case.columns
    node = columns.names[row]
    here = sorted(
        (pod for pod in columns.pods_on(node) if priority(pod) < case.pod_info.priority),
        key=lambda pod: (-priority(pod), _started(pod, case.now)),
    )
    if not here:
        return [NO_VICTIMS]
    try:
        for pod in here:
            columns.drop_pod(pod.metadata.uid)
        reasons = [status.reason for status in _statuses(case, row)]
        return reasons or _spare(case, row, here)
    finally:
        for pod in here:
            columns.set_pod(pod, node)


def _spare(case: Situation, row: int, here: list[Pod]) -> Candidate | list[str]:
    """Put back all pods that may stay, the protected and the most important ones first."""
    columns = case.columns
    node = columns.names[row]
    violating, others = by_budget(here, case.budgets)
    gone: set[str] = set()
    violations = 0
    for number, pod in enumerate((*violating, *others)):
        columns.set_pod(pod, node)
        if _statuses(case, row):
            columns.drop_pod(pod.metadata.uid)
            gone.add(pod.metadata.uid)
            violations += number < len(violating)
    if not gone:
        # It fits as things are: an event that is on its way will bring the pod here.
        return [NO_VICTIMS]
    victims = tuple(pod for pod in here if pod.metadata.uid in gone)
    return Candidate(node, victims, violations)


def _statuses(case: Situation, row: int) -> list[Unschedulable]:
    """Why a row is refused, with the pods that are promised it and without."""
    ahead = case.nominated.get(case.columns.names[row], ())
    found = decide.statuses_with(case.columns, case.pod_info, case.profile, row, ahead)
    if not found and ahead:
        found = decide.statuses_of(case.columns, case.pod_info, case.profile, row)
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
