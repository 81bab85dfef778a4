"""What was written in a cluster, in order: when, by whom, and the bytes before and after.

In: every event of the store, before it is visible. Out: ``Change`` values, kept beyond the store's
own compaction. Heartbeats (Leases, and a Node's conditions whose times alone moved) are left out:
they are nearly all writes of an idle cluster and say nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextvars import ContextVar

import msgspec

from trireme.kit.clock import Clock
from trireme.store.contract import CREATED, DELETED, Event, KeyValue

# The user whose request is being answered.
USER: ContextVar[str] = ContextVar("trireme_testing_user", default="")
_LEASES, _NODES = "/registry/leases.coordination.k8s.io/", "/registry/nodes/"
_MOVING = re.compile(
    rb'"(?:resourceVersion|time|lastHeartbeatTime|renewTime)":"[^"]*"',
)


class Change(msgspec.Struct, frozen=True):
    """One write. ``at``: seconds since 1970; ``user`` "" where it was not a client's."""

    event: Event
    at: float
    user: str

    @property
    def revision(self) -> int:
        return self.event.revision

    @property
    def verb(self) -> str:
        """created, modified or deleted."""
        return self.event.type

    @property
    def key(self) -> str:
        return self.event.key


class Journal:
    """``changes`` are all but heartbeats."""

    def __init__(
        self, clock: Clock, touch: Callable[[], None], earlier: tuple[Change, ...] = ()
    ) -> None:
        self._clock = clock
        # Called at each change.
        self._touch = touch
        self._waiters: set[asyncio.Event] = set()
        self.changes: list[Change] = list(earlier)
        # How many were written since this journal began.
        self.count = 0

    def note(self, event: Event) -> None:
        """The store's ``before_commit``."""
        if _is_heartbeat(event):
            return
        self.changes.append(Change(event, self._clock.now(), USER.get()))
        self.count += 1
        self._touch()
        for waiter in self._waiters:
            waiter.set()

    def waiter(self) -> _Waiter:
        """A context whose event is set at each further change."""
        return _Waiter(self._waiters)

    def undone(self, items: dict[str, KeyValue], revision: int) -> dict[str, KeyValue]:
        """The ``items`` of the present as they were at ``revision``; heartbeats since then stay."""
        past = dict(items)
        for change in reversed(self.changes):
            event = change.event
            if event.revision <= revision:
                break
            if event.previous is None or event.previous_revision is None:
                past.pop(event.key, None)
            else:
                past[event.key] = KeyValue(
                    event.key, event.previous, event.previous_revision, event.created
                )
        return past


class _Waiter:
    def __init__(self, waiters: set[asyncio.Event]) -> None:
        self._waiters = waiters
        self._event = asyncio.Event()

    def __enter__(self) -> asyncio.Event:
        self._waiters.add(self._event)
        return self._event

    def __exit__(self, *problem: object) -> None:
        self._waiters.discard(self._event)


def _is_heartbeat(event: Event) -> bool:
    if event.key.startswith(_LEASES):
        return event.type not in (CREATED, DELETED)
    if not event.key.startswith(_NODES) or event.previous is None or event.type == DELETED:
        return False
    return _MOVING.sub(b"", event.value) == _MOVING.sub(b"", event.previous)
