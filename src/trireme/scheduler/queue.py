"""The scheduling queue: active, backoff, unschedulable and gated pods.

In: pods, and cluster events. Out: the next pod to schedule. Time is an argument. Rules: upstream's
scheduling queue; 1 s of backoff doubling to 10 s, an unschedulable pod does not wait for its
backoff when the active queue is empty, and unschedulable pods are retried after 5 minutes at the
latest.
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
# Pods whose backoff ends within the same second are ordered by priority.
WINDOW = 1.0
# A cluster event that may help a pod whatever plugin refused it.
ANYTHING = None
ClusterEvents = frozenset[str] | None


class Place(Enum):
    """The queue that a pod is in."""

    ACTIVE = "active"
    # A cluster event may have helped it: it becomes active when its backoff is over.
    BACKOFF = "backoff"
    # No node was feasible: it stays until a cluster event may have changed that.
    UNSCHEDULABLE = "unschedulable"
    # It has scheduling gates: it stays until they are gone.
    GATED = "gated"
    # It is being scheduled.
    IN_FLIGHT = "in flight"


@dataclass
class QueuedPodInfo:
    """A pod in the queue. ``plugins`` refused it the last time; none after an error."""

    pod: Pod
    place: Place = Place.ACTIVE
    # How often it was unschedulable.
    unschedulable_count: int = 0
    # Consecutive errors, which have a backoff of their own.
    consecutive_errors: int = 0
    since: float = 0.0
    until: float = 0.0
    plugins: frozenset[str] = frozenset()
    # An entry of a heap is valid as long as it has the pod's latest token.
    token: int = 0


Entry = tuple[float, float, float, int, str]


class Queue:
    """All waiting pods, by uid. ``longest``: seconds after which an unschedulable pod is tried
    again in any case."""

    def __init__(self, longest: float = UNSCHEDULABLE_MOST) -> None:
        self._longest = longest
        self._pods: dict[str, QueuedPodInfo] = {}
        self._active: list[Entry] = []
        self._after_unschedulable: list[Entry] = []
        self._after_errors: list[Entry] = []
        self._parked: dict[str, QueuedPodInfo] = {}
        # Cluster events since each in-flight pod was popped.
        self._in_flight: dict[str, list[ClusterEvents]] = {}
        self._tokens = 0

    def __len__(self) -> int:
        return len(self._pods)

    def count(self, place: Place) -> int:
        """How many pods are in one of the queues."""
        return sum(1 for item in self._pods.values() if item.place is place)

    def add(self, pod: Pod, now: float) -> None:
        """A pod to be scheduled is new or has changed."""
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
            self._in_flight[uid].append(ANYTHING)

    def drop(self, uid: str) -> None:
        """A pod is bound, deleted or another scheduler's."""
        self._parked.pop(uid, None)
        self._in_flight.pop(uid, None)
        self._pods.pop(uid, None)

    def pop(self, now: float) -> QueuedPodInfo | None:
        """The next pod to schedule: the highest priority, then the longest in the queue."""
        self._flush(now)
        waiting = self._first(self._active) or self._first(self._after_unschedulable)
        if waiting is not None:
            self._place(waiting, Place.IN_FLIGHT)
        return waiting

    def add_unschedulable(self, uid: str, plugins: frozenset[str], now: float) -> None:
        """A pod that was popped is unschedulable."""
        waiting = self._pods.get(uid)
        if waiting is None:
            return
        happened = self._in_flight.get(uid, [])
        waiting.unschedulable_count += 1
        waiting.plugins, waiting.consecutive_errors, waiting.since = plugins, 0, now
        waiting.until = now + backoff(waiting.unschedulable_count)
        self._place(waiting, Place.UNSCHEDULABLE)
        if any(_helps(waiting, events) for events in happened):
            self._release(waiting, now)

    def add_backoff(self, uid: str, now: float) -> None:
        """Scheduling a pod failed (its binding was refused, the API server did not answer)."""
        waiting = self._pods.get(uid)
        if waiting is None:
            return
        waiting.consecutive_errors += 1
        waiting.plugins, waiting.since = frozenset(), now
        waiting.until = now + backoff(waiting.consecutive_errors)
        self._place(waiting, Place.BACKOFF)

    def move_all(self, events: ClusterEvents, now: float) -> bool:
        """A cluster event that may help pods that one of these plugins refused (None: any).

        Returns whether a pod moved.
        """
        for happened in self._in_flight.values():
            happened.append(events)
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
        # In the order in which they became unschedulable: the first has waited longest.
        due += [item.since + self._longest for item in islice(self._parked.values(), 1)]
        return min(due, default=None)

    def _flush(self, now: float) -> None:
        """Activate pods whose backoff, or time in the unschedulable queue, is over."""
        for heap in (self._after_unschedulable, self._after_errors):
            while (entry := self._top(heap)) is not None and entry[0] <= now:
                self._place(self._pods[entry[-1]], Place.ACTIVE)
        # In the order in which they became unschedulable: the first that is not due ends the loop.
        for waiting in list(self._parked.values()):
            if waiting.since + self._longest > now:
                break
            self._place(waiting, Place.ACTIVE)

    def _release(self, waiting: QueuedPodInfo, now: float) -> None:
        self._place(waiting, Place.BACKOFF if waiting.until > now else Place.ACTIVE)

    def _place(self, waiting: QueuedPodInfo, place: Place) -> None:
        uid = waiting.pod.metadata.uid
        self._parked.pop(uid, None)
        self._in_flight.pop(uid, None)
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
            self._in_flight[uid] = []

    def _first(self, heap: list[Entry]) -> QueuedPodInfo | None:
        entry = self._top(heap)
        return self._pods[entry[-1]] if entry is not None else None

    def _top(self, heap: list[Entry]) -> Entry | None:
        """The first valid entry."""
        while heap:
            entry = heap[0]
            waiting = self._pods.get(entry[-1])
            if waiting is not None and waiting.token == entry[-2]:
                return entry
            heapq.heappop(heap)
        return None


def backoff(attempts: int) -> float:
    """Seconds until the next attempt: 1 doubling to 10."""
    if attempts <= 0:
        return 0.0
    return float(min(FIRST_BACKOFF * 2 ** min(attempts - 1, 10), LONGEST_BACKOFF))


def _helps(waiting: QueuedPodInfo, events: ClusterEvents) -> bool:
    return events is ANYTHING or not waiting.plugins or bool(waiting.plugins & events)
