"""Which pods make room for a critical one that does not fit. Pure.

In: the pod, the pods that run, what is lacking of each resource. Out: the pods to end, ``None``
where all together would not do. Called by workers. Rules: upstream's pkg/kubelet/preemption: of
each QoS class, from the best-effort ones on, as few and as small as will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trireme.api.core import v1 as core
from trireme.api.core.v1.pod import qos
from trireme.kubelet import podresources, podspec

REASON = "Preempting"
MESSAGE = "Preempted in order to admit critical pod"
DISRUPTION = "Pod was preempted by Kubelet to accommodate a critical pod."

Lacking = Mapping[str, int]


def preempt(pod: core.Pod, running: Iterable[core.Pod], lacking: Lacking) -> list[core.Pod] | None:
    classes: dict[str, list[core.Pod]] = {
        name: [] for name in (qos.BEST_EFFORT, qos.BURSTABLE, qos.GUARANTEED)
    }
    for other in running:
        if _may_preempt(pod, other):
            classes[qos.of(other.spec)].append(other)
    best_effort, burstable, guaranteed = classes.values()
    if _without(lacking, [*best_effort, *burstable, *guaranteed]):
        return None
    # Each class has to give what the ones before it cannot, even all of them.
    of_guaranteed = _closest(guaranteed, _without(lacking, [*best_effort, *burstable]))
    of_burstable = _closest(burstable, _without(lacking, [*best_effort, *of_guaranteed]))
    of_best_effort = _closest(best_effort, _without(lacking, [*of_burstable, *of_guaranteed]))
    return [*of_best_effort, *of_burstable, *of_guaranteed]


def _may_preempt(pod: core.Pod, other: core.Pod) -> bool:
    if podspec.is_critical(pod) and not podspec.is_critical(other):
        return True
    return (pod.spec.priority or 0) > (other.spec.priority or 0)


def _closest(pods: Sequence[core.Pod], lacking: Lacking) -> list[core.Pod]:
    """Those that leave the least lacking, one by one; of equal ones the smaller."""
    left, found = list(pods), []
    while lacking:
        best = min(left, key=lambda pod: (_distance(pod, lacking), _size(pod)))
        left.remove(best)
        found.append(best)
        lacking = _without(lacking, [best])
    return found


def _distance(pod: core.Pod, lacking: Lacking) -> float:
    """Each resource weighs the same, whatever its unit."""
    requests = _requests(pod)
    missing = ((many - requests.get(name, 0)) / many for name, many in lacking.items())
    return sum(part**2 for part in missing if part > 0)


def _size(pod: core.Pod) -> tuple[int, int]:
    requests = _requests(pod)
    return requests.get("memory", 0), requests.get("cpu", 0)


def _without(lacking: Lacking, pods: Iterable[core.Pod]) -> Lacking:
    left = dict(lacking)
    for pod in pods:
        requests = _requests(pod)
        left = {name: many - requests.get(name, 0) for name, many in left.items()}
    return {name: many for name, many in left.items() if many > 0}


def _requests(pod: core.Pod) -> dict[str, int]:
    return {**podresources.pod_requests(pod), "pods": 1}
