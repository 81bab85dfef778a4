"""The event history, and the watchers that each event is sent to: etcd's watchable store.

In: every durable event, in order of revision, from an engine. Out: lists of events, to watchers,
and the events since a revision, to ``table`` (which undoes them to list at an older revision).
Events share the bytes of the write; history and subscriptions hold references, never copies.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from operator import attrgetter

from trireme.store.contract import (
    Compacted,
    Event,
    FutureRevision,
    SubscriptionClosed,
    WatchFilter,
)

_revision = attrgetter("revision")
# Bytes of values that a slow watcher may keep in memory after they were compacted.
BUFFER_BYTES = 64 * 1024 * 1024
# Watchers that get an event before the loop looks after others: about a millisecond's worth.
AT_ONCE = 64


class EventHistory:
    """All events after ``compacted``: in one list, and by bucket (the first two path segments)."""

    def __init__(self) -> None:
        self.revision = 1
        self.compacted = 0
        self._events: list[Event] = []
        self._buckets: dict[str, list[Event]] = {}
        self._watchers: dict[str, _BucketWatchers] = {}
        self._due: deque[BufferedSubscription] = deque()
        # How many events were published, by bucket.
        self.published: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._events)

    def restore(self, revision: int, compacted: int, events: Iterable[Event]) -> None:
        """Start from what an engine read from its disk; before the first publish."""
        self.revision, self.compacted = revision, compacted
        for event in events:
            self._append(event, bucket(event.key))

    def reset(self, revision: int, compacted: int) -> None:
        """Start anew at a revision; nobody can go on from what was before."""
        self.close("compacted")
        self._events.clear()
        self._buckets.clear()
        self.revision, self.compacted = revision, compacted

    def advance(self, revision: int) -> None:
        """Nothing that is kept here was written up to ``revision``."""
        self.revision = revision

    def publish(self, event: Event) -> None:
        name = bucket(event.key)
        self._append(event, name)
        self.published[name] = self.published.get(name, 0) + 1
        self.revision = event.revision
        for watchers in (self._watchers.get(name), self._watchers.get("") if name else None):
            if watchers is not None:
                watchers.publish(event)

    def subscribe(
        self, prefix: str, since: int, buffer: int, filter: WatchFilter | None
    ) -> BufferedSubscription:
        backlog = self.since(prefix, since)
        subscription = BufferedSubscription(self, prefix, backlog, buffer, filter)
        self._watchers.setdefault(bucket(prefix), _BucketWatchers()).add(subscription)
        return subscription

    def hand_over_soon(self, subscription: BufferedSubscription) -> None:
        """Deliver in the loop's next turn, and to so many at a time that others get theirs."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._due.append(subscription)

    def _hand_over(self) -> None:
        for _ in range(min(AT_ONCE, len(self._due))):
            self._due.popleft().hand_over()
        if self._due:
            asyncio.get_running_loop().call_soon(self._hand_over)

    def unsubscribe(self, subscription: BufferedSubscription) -> None:
        name = bucket(subscription.prefix)
        watchers = self._watchers[name]
        watchers.remove(subscription)
        if not watchers.lengths:
            del self._watchers[name]

    def since(self, prefix: str, revision: int) -> list[Event]:
        """Events of the prefix after ``revision``, oldest first. Compacted, FutureRevision."""
        if revision < self.compacted:
            raise Compacted(revision, self.compacted)
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        name = bucket(prefix)
        events = self._buckets.get(name, []) if name else self._events
        tail = events[bisect_right(events, revision, key=_revision) :]
        if prefix == name:
            return tail
        return [event for event in tail if event.key.startswith(prefix)]

    def oldest(self, index: int) -> int:
        """The revision of the index-th oldest event that is kept."""
        return self._events[index].revision

    def compact(self, revision: int) -> list[Event]:
        """Forget events up to ``revision`` and return them."""
        cut = bisect_right(self._events, revision, key=_revision)
        dropped = self._events[:cut]
        del self._events[:cut]
        for name in {bucket(event.key) for event in dropped}:
            events = self._buckets[name]
            del events[: bisect_right(events, revision, key=_revision)]
            if not events:
                del self._buckets[name]
        self.compacted = revision
        return dropped

    def close(self, reason: str) -> None:
        for watchers in list(self._watchers.values()):
            for group in list(watchers.by_prefix.values()):
                for subscription in list(group.all()):
                    subscription.end(reason)

    def _append(self, event: Event, name: str) -> None:
        self._events.append(event)
        events = self._buckets.get(name)
        if events is None:
            events = self._buckets[name] = []
        events.append(event)


class BufferedSubscription:
    """One watcher's undelivered events, bounded in number and in bytes. The backlog, which the
    history holds as well, may exceed the bounds, and so may a single event."""

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_closed",
        "_deliver",
        "_delivered",
        "_events",
        "_final",
        "_history",
        "_limit",
        "_size",
        "_waiter",
        "filter",
        "prefix",
    )  # fmt: skip

    def __init__(
        self,
        history: EventHistory,
        prefix: str,
        backlog: list[Event],
        buffer: int,
        filter: WatchFilter | None,
    ) -> None:
        self.prefix = prefix
        self.filter = filter
        self._history = history
        self._events = backlog
        self._buffer = buffer
        self._limit = len(backlog) + buffer  # until the backlog has been read
        self._size = 0  # bytes of what came after the backlog
        self._waiter: asyncio.Future[bool] | None = None  # True: by notify
        self._deliver: Callable[[list[Event]], bool] | None = None
        self._closed: str | None = None
        # Set when closed; until then both are computed.
        self._delivered = self._final = 0

    @property
    def revision(self) -> int:
        if self._closed is not None:
            return self._delivered
        return self._progress()

    @property
    def pending(self) -> bool:
        if self._closed is None:
            return bool(self._events)
        return self._delivered != self._history.revision

    async def next(self) -> list[Event]:
        while not self._events:
            if self._closed is not None:
                raise SubscriptionClosed(self._closed)
            if self._waiter is not None:
                raise RuntimeError("a subscription has one reader")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                notified = await self._waiter
            finally:
                self._waiter = None
            if notified:
                return self.take()
        return self._drain()

    def notify(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def deliver(self, take: Callable[[list[Event]], bool] | None) -> None:
        self._deliver = take

    def hand_over(self) -> None:
        """End the wait, unless ``deliver``'s function takes what has come."""
        if self._waiter is None or self._waiter.done():
            return
        taken = False
        if self._deliver is not None and self._events:
            # What it raises, it raises again for who waits.
            with contextlib.suppress(Exception):
                taken = self._deliver(self._events)
        if taken:
            self._drain()
        else:
            self._waiter.set_result(False)

    def take(self) -> list[Event]:
        if not self._events and self._closed is not None:
            raise SubscriptionClosed(self._closed)
        return self._drain()

    def _drain(self) -> list[Event]:
        events, self._events = self._events, []
        self._limit = self._buffer
        self._size = 0
        self._delivered = self._final
        return events

    def push(self, event: Event) -> None:
        events = self._events
        events.append(event)
        self._size = size = self._size + len(event.value)
        if len(events) > self._limit or (size > BUFFER_BYTES and size > len(event.value)):
            events.pop()
            self.end("slow", discard=True)
        elif self._waiter is not None and not self._waiter.done():
            if self._deliver is None:
                self._waiter.set_result(False)
            elif len(events) == 1:
                self._history.hand_over_soon(self)

    def close(self) -> None:
        self.end("closed", discard=True)

    def end(self, reason: str, *, discard: bool = False) -> None:
        if self._closed is not None:
            return
        self._delivered = self._progress()
        self._closed = reason
        self._final = self._history.revision
        if discard:
            self._events = []
        self._history.unsubscribe(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    def _progress(self) -> int:
        return self._events[0].revision - 1 if self._events else self._history.revision


class _BucketWatchers:
    """Subscriptions of one bucket, found by the prefixes of a key at the lengths that are watched.

    A thousand watches of single keys cost an event as little as one: a dictionary look-up.
    """

    def __init__(self) -> None:
        self.by_prefix: dict[str, _WatcherGroup] = {}
        self.lengths: list[int] = []
        self._uses: dict[int, int] = {}

    def publish(self, event: Event) -> None:
        key = event.key
        for length in tuple(self.lengths):
            if length > len(key):
                break
            group = self.by_prefix.get(key[:length])
            if group is not None:
                group.publish(event)

    def add(self, subscription: BufferedSubscription) -> None:
        prefix = subscription.prefix
        if prefix not in self.by_prefix:
            self.by_prefix[prefix] = _WatcherGroup()
            uses = self._uses.get(len(prefix), 0)
            self._uses[len(prefix)] = uses + 1
            if not uses:
                insort(self.lengths, len(prefix))
        self.by_prefix[prefix].add(subscription)

    def remove(self, subscription: BufferedSubscription) -> None:
        prefix = subscription.prefix
        group = self.by_prefix[prefix]
        group.remove(subscription)
        if not group.empty():
            return
        del self.by_prefix[prefix]
        self._uses[len(prefix)] -= 1
        if not self._uses[len(prefix)]:
            del self._uses[len(prefix)]
            self.lengths.remove(len(prefix))


class _WatcherGroup:
    """Subscriptions of one prefix: those without a filter, and the others by their filter's index.

    Ten thousand that watch for other values cost an event one look-up for each index.
    """

    __slots__ = ("_filtered", "_unfiltered")

    def __init__(self) -> None:
        self._unfiltered: dict[BufferedSubscription, None] = {}
        # index -> value -> subscriptions
        self._filtered: dict[Hashable, dict[str, dict[BufferedSubscription, None]]] = {}

    def publish(self, event: Event) -> None:
        # A full subscription unsubscribes itself while we walk.
        for subscription in tuple(self._unfiltered):
            subscription.push(event)
        for by_value in tuple(self._filtered.values()):
            for subscription in _matching(by_value, event):
                subscription.push(event)

    def add(self, subscription: BufferedSubscription) -> None:
        filter = subscription.filter
        if filter is None:
            self._unfiltered[subscription] = None
            return
        by_value = self._filtered.setdefault(filter.key, {})
        for value in filter.values:
            by_value.setdefault(value, {})[subscription] = None

    def remove(self, subscription: BufferedSubscription) -> None:
        filter = subscription.filter
        if filter is None:
            del self._unfiltered[subscription]
            return
        by_value = self._filtered[filter.key]
        for value in filter.values:
            del by_value[value][subscription]
            if not by_value[value]:
                del by_value[value]
        if not by_value:
            del self._filtered[filter.key]

    def empty(self) -> bool:
        return not self._unfiltered and not self._filtered

    def all(self) -> dict[BufferedSubscription, None]:
        """Each of them, once."""
        found = dict(self._unfiltered)
        for by_value in self._filtered.values():
            for subscriptions in by_value.values():
                found.update(subscriptions)
        return found


def _matching(
    by_value: dict[str, dict[BufferedSubscription, None]], event: Event
) -> dict[BufferedSubscription, None]:
    """The subscriptions of one index that an event matches, each once."""
    filter = next(iter(next(iter(by_value.values())))).filter
    assert filter is not None
    read = filter.read(event)
    found: dict[BufferedSubscription, None] = {}
    for value in by_value if read is None else read:
        subscriptions = by_value.get(value)
        if subscriptions is not None:
            found.update(subscriptions)
    return found


def bucket(path: str) -> str:
    """The first two segments with their slashes ("/registry/pods/"), or "" when there are fewer."""
    second = path.find("/", 1)
    third = path.find("/", second + 1) if second > 0 else -1
    return path[: third + 1]
