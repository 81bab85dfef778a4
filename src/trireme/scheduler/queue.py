"""Pods that wait for a node: active, backing off, or unschedulable until something changes.

In: pods as they come, and what happens in the cluster. Out: the next pod to try. Time is an
argument. Rules: upstream's scheduling queue; 1 s of back-off doubling to 10 s, a pod that no node
would take does not wait for its back-off when there is nothing else to do, and unschedulable pods
are tried again after 5 minutes at the latest.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from trireme.api.core.v1.pod.pod import Pod

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 10.0
UNSCHEDULABLE_MOST = 300.0
# Pods whose back-off ends within the same second are taken by priority.
WINDOW = 1.0
# An event that may help whatever refused a pod.
ANYTHING = None
ClusterEvents = frozenset[str] | None


class Place(Enum):
    """Where a waiting pod is."""

    ACTIVE = "active"
    # Something changed a moment after it failed: it becomes active when its back-off is over.
    BACKOFF = "backoff"
    # No node will do: it stays until an event may have changed that.
    UNSCHEDULABLE = "unschedulable"
    # It has scheduling gates: it stays until they are gone.
    GATED = "gated"
    # It is being tried.
    IN_FLIGHT = "in flight"


@dataclass
class QueuedPodInfo:
    """A pod in the queue. ``plugins`` refused it the last time, none when that was an error."""

    pod: Pod
    place: Place = Place.ACTIVE
    # How often no node would do.
    unschedulable_count: int = 0
    # Consecutive errors; they back off by themselves.
    consecutive_errors: int = 0
    since: float = 0.0
    until: float = 0.0
    plugins: frozenset[str] = frozenset()
    # An entry of a heap is good as long as it has the pod's latest token.
    token: int = 0


Entry = tuple[float, float, float, int, str]


class Queue:
    """All waiting pods, by uid."""

    def __init__(self) -> None:
        self._pods: dict[str, QueuedPodInfo] = {}
        self._active: list[Entry] = []
        self._after_unschedulable: list[Entry] = []
        self._after_errors: list[Entry] = []
        self._parked: dict[str, QueuedPodInfo] = {}
        # What has happened while a pod was being tried.
        self._flying: dict[str, list[ClusterEvents]] = {}
        self._tokens = 0

    def __len__(self) -> int:
        return len(self._pods)

    def count(self, place: Place) -> int:
        """How many pods wait there."""
        return sum(1 for item in self._pods.values() if item.place is place)

    def add(self, pod: Pod, now: float) -> None:
        """A pod wants a node: it is new, or it has changed."""
        uid = pod.metadata.uid
        known = self._pods.get(uid)
        gated = bool(pod.spec.schedulingGates)
        if known is None:
            known = self._pods[uid] = QueuedPodInfo(pod, since=now)
            self._place(known, Place.GATED if gated else Place.ACTIVE)
            return
        changed = known.pod.spec != pod.spec or known.pod.metadata.labels != pod.metadata.labels
        known.pod = pod
        if known.place is Place.GATED:
            if not gated:
                known.since = now
                self._place(known, Place.ACTIVE)
        elif changed and known.place is Place.UNSCHEDULABLE:
            self._release(known, now)
        elif changed and known.place is Place.IN_FLIGHT:
            self._flying[uid].append(ANYTHING)

    def drop(self, uid: str) -> None:
        """A pod is bound, deleted or somebody else's."""
        self._parked.pop(uid, None)
        self._flying.pop(uid, None)
        self._pods.pop(uid, None)

    def pop(self, now: float) -> QueuedPodInfo | None:
        """The next pod to try: the highest priority, then who has waited longest."""
        self._flush(now)
        waiting = self._first(self._active) or self._first(self._after_unschedulable)
        if waiting is not None:
            self._place(waiting, Place.IN_FLIGHT)
        return waiting

    def add_unschedulable(self, uid: str, plugins: frozenset[str], now: float) -> None:
        """No node would do for a pod that was tried."""
        waiting = self._pods.get(uid)
        if waiting is None:
            return
        happened = self._flying.get(uid, [])
        waiting.unschedulable_count += 1
        waiting.plugins, waiting.consecutive_errors, waiting.since = plugins, 0, now
        waiting.until = now + backoff(waiting.unschedulable_count)
        self._place(waiting, Place.UNSCHEDULABLE)
        if any(_helps(waiting, events) for events in happened):
            self._release(waiting, now)

    def add_backoff(self, uid: str, now: float) -> None:
        """Trying a pod went wrong (its binding was refused, the API server did not answer)."""
        waiting = self._pods.get(uid)
        if waiting is None:
            return
        waiting.consecutive_errors += 1
        waiting.plugins, waiting.since = frozenset(), now
        waiting.until = now + backoff(waiting.consecutive_errors)
        self._place(waiting, Place.BACKOFF)

    def move_all(self, events: ClusterEvents, now: float) -> bool:
        """Something changed that may help pods that one of these plugins refused (None: any).

        Returns whether a pod moved.
        """
        for seen in self._flying.values():
            seen.append(events)
        moved = [waiting for waiting in self._parked.values() if _helps(waiting, events)]
        for waiting in moved:
            self._release(waiting, now)
        return bool(moved)

    def next_due(self) -> float | None:
        """When the next pod becomes active by itself; None when none will."""
        due = [
            entry[0]
            for entry in (self._top(self._after_unschedulable), self._top(self._after_errors))
            if entry
        ]
        # In the order in which they were tried: the first has waited longest.
        due += [item.since + UNSCHEDULABLE_MOST for item in islice(self._parked.values(), 1)]
        return min(due, default=None)

    def _flush(self, now: float) -> None:
        """Make active what has waited long enough."""
        for heap in (self._after_unschedulable, self._after_errors):
            while (entry := self._top(heap)) is not None and entry[0] <= now:
                self._place(self._pods[entry[-1]], Place.ACTIVE)
        # In the order in which they were tried, so the first that is not due ends the search.
        for waiting in list(self._parked.values()):
            if waiting.since + UNSCHEDULABLE_MOST > now:
                break
            self._place(waiting, Place.ACTIVE)

    def _release(self, waiting: QueuedPodInfo, now: float) -> None:
        self._place(waiting, Place.BACKOFF if waiting.until > now else Place.ACTIVE)

    def _place(self, waiting: QueuedPodInfo, place: Place) -> None:
        uid = waiting.pod.metadata.uid
        self._parked.pop(uid, None)
        self._flying.pop(uid, None)
        self._tokens += 1
        waiting.token = self._tokens
        waiting.place = place
        rank = (-(waiting.pod.spec.priority or 0), waiting.since, waiting.token, uid)
        if place is Place.ACTIVE:
            heapq.heappush(self._active, (0.0, *rank))
        elif place is Place.BACKOFF:
            heap = self._after_errors if waiting.consecutive_errors else self._after_unschedulable
            heapq.heappush(heap, (math.ceil(waiting.until / WINDOW) * WINDOW, *rank))
        elif place is Place.UNSCHEDULABLE:
            self._parked[uid] = waiting
        elif place is Place.IN_FLIGHT:
            self._flying[uid] = []

    def _first(self, heap: list[Entry]) -> QueuedPodInfo | None:
        entry = self._top(heap)
        return self._pods[entry[-1]] if entry is not None else None

    def _top(self, heap: list[Entry]) -> Entry | None:
        """The first entry that still counts."""
        while heap:
            entry = heap[0]
            waiting = self._pods.get(entry[-1])
            if waiting is not None and waiting.token == entry[-2]:
                return entry
            heapq.heappop(heap)
        return None


def backoff(attempts: int) -> float:
    """Seconds before another try: 1 doubling to 10."""
    if attempts <= 0:
        return 0.0
    return float(min(FIRST_BACKOFF * 2 ** min(attempts - 1, 10), LONGEST_BACKOFF))


def _helps(waiting: QueuedPodInfo, events: ClusterEvents) -> bool:
    return events is ANYTHING or not waiting.plugins or bool(waiting.plugins & events)
