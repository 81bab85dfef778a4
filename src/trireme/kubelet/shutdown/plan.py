"""Which pods end together, and how long they have. Pure.

In: the configuration's priorities with their seconds, the pods. Out: groups, lowest first. Called
by shutdown/manager. Rules: concepts/cluster-administration/node-shutdown; KEP-2712.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence

import msgspec

from trireme.api.core import v1 as core


class Group(msgspec.Struct, frozen=True):
    """Pods of one range of priorities, and the seconds that they have together."""

    seconds: int
    pods: tuple[core.Pod, ...]


def groups(periods: Sequence[tuple[int, int]], pods: Iterable[core.Pod]) -> list[Group]:
    """Each pod is in the range of the highest priority that is not above its own; one below all
    is in the lowest. Ranges without pods are left out: nobody waits for them."""
    priorities = [priority for priority, _ in periods]
    found: list[list[core.Pod]] = [[] for _ in periods]
    for pod in pods:
        index = bisect.bisect_right(priorities, pod.spec.priority or 0) - 1
        found[max(index, 0)].append(pod)
    return [
        Group(seconds, tuple(of)) for (_, seconds), of in zip(periods, found, strict=True) if of
    ]


def grace_seconds(pod: core.Pod, group: Group) -> int:
    own = pod.spec.terminationGracePeriodSeconds
    return group.seconds if own is None else min(own, group.seconds)
