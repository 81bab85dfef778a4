"""Pods that wait for a node: active, backing off, or unschedulable until something changes.

In: pods as they come, and what happens in the cluster. Out: the next pod to try. Time is an
argument. Rules: upstream's scheduling queue; 1 s of back-off doubling to 10 s, unschedulable pods
are tried again after 5 minutes at the latest.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import Enum

from trireme.api.core.v1.pod.pod import Pod

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 10.0
UNSCHEDULABLE_MOST = 300.0


class Place(Enum):
    """Where a waiting pod is."""

    ACTIVE = "active"
    # It failed a moment ago: it becomes active when its back-off is over.
    BACKOFF = "backoff"
    # No node will do: it stays until an event may have changed that.
    UNSCHEDULABLE = "unschedulable"
    # It has scheduling gates: it stays until they are gone.
    GATED = "gated"
    # It is being tried.
    IN_FLIGHT = "in flight"


@dataclass
class Waiting:
    """A pod in the queue. ``plugins`` refused it the last time."""

    pod: Pod
    place: Place = Place.ACTIVE
    attempts: int = 0
    # Consecutive errors (not refusals); they back off by themselves.
    faults: int = 0
    since: float = 0.0
    until: float = 0.0
    plugins: frozenset[str] = frozenset()
    # Something that matters happened while the pod was in flight.
    moved: bool = False
    token: int = field(default=0)


class Queue:
    """All waiting pods, by uid."""

    def __init__(self) -> None:
        self._pods: dict[str, Waiting] = {}
        self._active: list[tuple[int, float, int, str]] = []
        self._tokens = 0

    def __len__(self) -> int:
        return len(self._pods)

    def count(self, place: Place) -> int:
        """How many pods wait there."""
        return sum(1 for item in self._pods.values() if item.place is place)

    def add(self, pod: Pod, now: float) -> None:
        """A pod wants a node: it is new, or it has changed."""
        known = self._pods.get(pod.metadata.uid)
        gated = bool(pod.spec.schedulingGates)
        if known is None:
            known = self._pods[pod.metadata.uid] = Waiting(pod, since=now)
            self._place(known, Place.GATED if gated else Place.ACTIVE)
            return
        changed = known.pod.spec != pod.spec or known.pod.metadata.labels != pod.metadata.labels
        known.pod = pod
        if known.place is Place.GATED and not gated:
            known.since = now
            self._place(known, Place.ACTIVE)
        elif known.place is Place.UNSCHEDULABLE and changed:
            self._release(known, now)
        elif known.place is Place.IN_FLIGHT and changed:
            known.moved = True

    def drop(self, uid: str) -> None:
        """A pod is bound, deleted or somebody else's."""
        self._pods.pop(uid, None)

    def pop(self, now: float) -> Waiting | None:
        """The next pod to try: the highest priority, then who has waited longest."""
        self._flush(now)
        while self._active:
            _, _, token, uid = heapq.heappop(self._active)
            waiting = self._pods.get(uid)
            if waiting is not None and waiting.token == token and waiting.place is Place.ACTIVE:
                waiting.place = Place.IN_FLIGHT
                waiting.moved = False
                waiting.attempts += 1
                return waiting
        return None

    def refused(self, uid: str, plugins: frozenset[str], now: float) -> None:
        """No node would do for a pod that was tried."""
        waiting = self._pods.get(uid)
        if waiting is None:
            return
        waiting.plugins, waiting.faults, waiting.since = plugins, 0, now
        waiting.until = now + backoff(waiting.attempts)
        self._place(waiting, Place.BACKOFF if waiting.moved else Place.UNSCHEDULABLE)

    def failed(self, uid: str, now: float) -> None:
        """Trying a pod went wrong (its binding was refused, the API server did not answer)."""
        waiting = self._pods.get(uid)
        if waiting is None:
            return
        waiting.faults += 1
        waiting.plugins, waiting.since = frozenset(), now
        waiting.until = now + backoff(waiting.faults)
        self._place(waiting, Place.BACKOFF)

    def happened(self, concerns: frozenset[str] | None, now: float) -> bool:
        """Something changed that may help pods that one of these plugins refused (None: any).

        Returns whether a pod moved.
        """
        moved = False
        for waiting in self._pods.values():
            if concerns is not None and waiting.plugins and not waiting.plugins & concerns:
                continue
            if waiting.place is Place.UNSCHEDULABLE:
                self._release(waiting, now)
                moved = True
            elif waiting.place is Place.IN_FLIGHT:
                waiting.moved = True
        return moved

    def next_due(self) -> float | None:
        """When the next pod becomes active by itself; None when none will."""
        due = [
            item.until if item.place is Place.BACKOFF else item.since + UNSCHEDULABLE_MOST
            for item in self._pods.values()
            if item.place in (Place.BACKOFF, Place.UNSCHEDULABLE)
        ]
        return min(due, default=None)

    def _flush(self, now: float) -> None:
        for waiting in self._pods.values():
            if (waiting.place is Place.BACKOFF and waiting.until <= now) or (
                waiting.place is Place.UNSCHEDULABLE and waiting.since + UNSCHEDULABLE_MOST <= now
            ):
                self._place(waiting, Place.ACTIVE)

    def _release(self, waiting: Waiting, now: float) -> None:
        self._place(waiting, Place.BACKOFF if waiting.until > now else Place.ACTIVE)

    def _place(self, waiting: Waiting, place: Place) -> None:
        waiting.place = place
        if place is Place.ACTIVE:
            self._tokens += 1
            waiting.token = self._tokens
            pod = waiting.pod
            priority = pod.spec.priority or 0
            entry = (-priority, waiting.since, waiting.token, pod.metadata.uid)
            heapq.heappush(self._active, entry)


def backoff(attempts: int) -> float:
    """Seconds before another try: 1 doubling to 10."""
    if attempts <= 0:
        return 0.0
    return float(min(FIRST_BACKOFF * 2 ** (attempts - 1), LONGEST_BACKOFF))
