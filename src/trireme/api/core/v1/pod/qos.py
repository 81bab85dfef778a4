"""A pod's quality of service class.

In: a PodSpec. Out: Guaranteed, Burstable or BestEffort, by CPU and memory alone. Called by: pod
creation (the class is fixed then) and the rules on resizing. Rules:
https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/; KEP-2837.
"""

from __future__ import annotations

from typing import Final

from trireme.api.core.v1.pod.spec import PodSpec
from trireme.machinery import quantity

GUARANTEED: Final = "Guaranteed"
BURSTABLE: Final = "Burstable"
BEST_EFFORT: Final = "BestEffort"

_COUNTED: Final = ("cpu", "memory")


def of(spec: PodSpec) -> str:
    """The class of a pod with this spec."""
    if spec.resources is not None:
        blocks = [spec.resources]
    else:
        blocks = [item.resources for item in (*spec.containers, *spec.initContainers)]
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    guaranteed = True
    for block in blocks:
        _count(requests, block.requests)
        guaranteed = _count(limits, block.limits) == len(_COUNTED) and guaranteed
    if not requests and not limits:
        return BEST_EFFORT
    return GUARANTEED if guaranteed and requests == limits else BURSTABLE


def _count(total: dict[str, int], quantities: dict[str, str]) -> int:
    """Add the positive quantities that count to ``total``; how many of them there were."""
    found = 0
    if quantities:
        for name in _COUNTED:
            text = quantities.get(name)
            nanos = quantity.parse(text).nanos if text else 0
            if nanos > 0:
                total[name] = total.get(name, 0) + nanos
                found += 1
    return found
