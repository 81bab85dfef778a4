"""The store's contract: text keys, opaque bytes, one sequence of revisions. No Kubernetes.

In: writes compared with a modification revision; prefixes and revisions to read or to watch from.
Out: stored items, pages and events, all sharing the bytes that were rendered once at the write.
Callers: the API server only. The semantics are those of etcd's KV, Watch and Compact.
Life cycle: ``await start()``, use on one event loop, ``await close()``; or ``async with``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

from trireme.store.codec import Transformer
from trireme.store.values import CREATED as CREATED
from trireme.store.values import DELETED as DELETED
from trireme.store.values import MODIFIED as MODIFIED
from trireme.store.values import Event as Event
from trireme.store.values import EventType as EventType
from trireme.store.values import KeyValue as KeyValue
from trireme.store.values import Page as Page
from trireme.store.values import Value as Value
from trireme.store.values import WatchFilter as WatchFilter


class StoreError(Exception):
    """Every error that a store raises on purpose."""


class KeyExists(StoreError):
    def __init__(self, key: str, current: KeyValue) -> None:
        super().__init__(f"{key} exists at revision {current.revision}")
        self.key, self.current = key, current


class KeyMissing(StoreError):
    def __init__(self, key: str) -> None:
        super().__init__(f"{key} does not exist")
        self.key = key


class Conflict(StoreError):
    def __init__(self, current: KeyValue, expect: int) -> None:
        super().__init__(f"{current.key} is at revision {current.revision}, not {expect}")
        self.key, self.current, self.expect = current.key, current, expect


class Compacted(StoreError):
    def __init__(self, revision: int, compacted: int) -> None:
        super().__init__(f"revision {revision} is older than the compacted revision {compacted}")
        self.revision, self.compacted = revision, compacted


class FutureRevision(StoreError):
    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is beyond the current revision {current}")
        self.revision, self.current = revision, current


class StoreUnavailable(StoreError):
    """The write was not acknowledged: the disk refused it or the store does not run."""


class Refused(StoreUnavailable):
    """The same, in the words of the datastore behind the store."""


class Unreadable(StoreError):
    """What is stored under a key cannot be read: it is encrypted with a key that is not there."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key, self.reason = key, reason


class CannotOpen(StoreError):
    """The data cannot be opened: locked, corrupt, of a newer schema, or not a store at all."""


class SubscriptionClosed(StoreError):
    """No more events. ``reason``: "slow" (buffer overflow), "closed" (by us), "store closed"."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"subscription closed: {reason}")
        self.reason = reason


class Subscription(Protocol):
    """One watcher's stream: no gap, no duplicate, in order of revision. One reader only."""

    @property
    def revision(self) -> int: ...  # ``next`` has returned every matching event up to here
    @property
    def pending(self) -> bool: ...  # whether ``next`` has not returned all, or some were discarded
    async def next(self) -> list[Event]:
        """Waits for events; none after ``notify``. Cancelling loses nothing. SubscriptionClosed."""

    def notify(self) -> None: ...  # ends a wait that is going on
    def deliver(self, take: Callable[[list[Event]], bool] | None) -> None:
        """Give what comes during a wait to ``take`` soon after: the wait goes on where it returns
        True, and ends as ever where it returns False or raises."""

    def take(self) -> list[Event]: ...  # what ``next`` would give now, maybe nothing
    def close(self) -> None: ...


class Store(Protocol):
    """Compares are made in order of submission; writes are visible, and return, once durable.
    A cancelled write may still happen. ``revision`` starts at 1 for an empty store."""

    @property
    def revision(self) -> int: ...
    @property
    def compacted(self) -> int: ...
    @property
    def expires(self) -> bool: ...  # whether items go after their ``ttl`` seconds by themselves
    @property
    def shared(self) -> bool: ...  # whether others write too: a read may be old before a barrier
    @property
    def failure(self) -> str: ...  # why the last write was not durable; "" once one is
    def published(self) -> dict[str, int]: ...  # events since the start, by first two segments
    async def size(self) -> int: ...  # bytes on the disk; 0 where nothing is
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc: object) -> None: ...

    async def create(self, key: str, value: Value, ttl: int = 0) -> KeyValue: ...
    async def update(
        self, key: str, value: Value, expect: int | None = None, ttl: int = 0
    ) -> KeyValue: ...
    async def delete(
        self, key: str, expect: int | None = None, value: Value | None = None
    ) -> KeyValue: ...

    def get(self, key: str) -> KeyValue | None: ...
    def list(
        self, prefix: str, *, after: str | None = None, limit: int = 0, revision: int | None = None
    ) -> Page: ...
    def count(self, prefix: str) -> int: ...
    def watch(
        self, prefix: str, since: int, *, buffer: int = 10_000, filter: WatchFilter | None = None
    ) -> Subscription: ...  # events that do not match the filter may be left out
    async def compact(self, revision: int) -> None: ...
    async def barrier(self) -> int: ...

    def transform(self, transformer: Transformer) -> None: ...  # before ``start``
    def stale(self, key: str) -> bool: ...  # by the transformer
    async def reread(self) -> None: ...  # what could not be read, after its keys have changed
