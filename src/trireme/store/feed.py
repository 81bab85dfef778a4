"""The history of events and the subscriptions that it is fanned out to.

In: every durable event, in order of revision, from an engine. Out: lists of events, to watchers,
and the events since a revision, to ``table`` (which undoes them to list the past).
Events share the bytes of the write; history and subscribers hold references, never copies.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from collections.abc import Hashable, Iterable
from operator import attrgetter

from trireme.store.contract import (
    Compacted,
    Concern,
    Event,
    FutureRevision,
    SubscriptionClosed,
)

_revision = attrgetter("revision")
# What a slow watcher may keep alive after history has forgotten it.
BUFFER_BYTES = 64 * 1024 * 1024


class Feed:
    """All events after ``compacted``, by bucket (the first two path segments) and in one row."""

    def __init__(self) -> None:
        self.revision = 1
        self.compacted = 0
        self._events: list[Event] = []
        self._buckets: dict[str, list[Event]] = {}
        self._routes: dict[str, _Route] = {}

    def __len__(self) -> int:
        return len(self._events)

    def restore(self, revision: int, compacted: int, events: Iterable[Event]) -> None:
        """Take over what an engine found on its disk; before the first publish."""
        self.revision, self.compacted = revision, compacted
        for event in events:
            self._remember(event, bucket(event.key))

    def publish(self, event: Event) -> None:
        name = bucket(event.key)
        self._remember(event, name)
        self.revision = event.revision
        for route in (self._routes.get(name), self._routes.get("") if name else None):
            if route is not None:
                route.publish(event)

    def subscribe(
        self, prefix: str, since: int, buffer: int, concern: Concern | None
    ) -> BufferedSubscription:
        backlog = self.since(prefix, since)
        subscription = BufferedSubscription(self, prefix, backlog, buffer, concern)
        self._routes.setdefault(bucket(prefix), _Route()).add(subscription)
        return subscription

    def unsubscribe(self, subscription: BufferedSubscription) -> None:
        name = bucket(subscription.prefix)
        route = self._routes[name]
        route.remove(subscription)
        if not route.lengths:
            del self._routes[name]

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
        for route in list(self._routes.values()):
            for watchers in list(route.by_prefix.values()):
                for subscription in list(watchers.all()):
                    subscription.end(reason)

    def _remember(self, event: Event, name: str) -> None:
        self._events.append(event)
        events = self._buckets.get(name)
        if events is None:
            events = self._buckets[name] = []
        events.append(event)


class BufferedSubscription:
    """One watcher: undelivered events, bounded in number and in bytes. The backlog, which history
    holds as well, may exceed the bounds, and so may a single event."""

    __slots__ = (
        "__weakref__", "_buffer", "_closed", "_delivered", "_events", "_feed", "_final", "_limit",
        "_size", "_waiter", "concern", "prefix",
    )  # fmt: skip

    def __init__(
        self,
        feed: Feed,
        prefix: str,
        backlog: list[Event],
        buffer: int,
        concern: Concern | None,
    ) -> None:
        self.prefix = prefix
        self.concern = concern
        self._feed = feed
        self._events = backlog
        self._buffer = buffer
        self._limit = len(backlog) + buffer  # until the backlog has been read
        self._size = 0  # bytes of what came after the backlog
        self._waiter: asyncio.Future[bool] | None = None  # whether it was roused
        self._closed: str | None = None
        # Set when closed; until then both are computed.
        self._delivered = self._final = 0

    @property
    def revision(self) -> int:
        if self._closed is not None:
            return self._delivered
        return self._progress()

    async def next(self) -> list[Event]:
        while not self._events:
            if self._closed is not None:
                raise SubscriptionClosed(self._closed)
            if self._waiter is not None:
                raise RuntimeError("a subscription has one reader")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                roused = await self._waiter
            finally:
                self._waiter = None
            if roused:
                return self.take()
        return self._hand_over()

    def rouse(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def take(self) -> list[Event]:
        if not self._events and self._closed is not None:
            raise SubscriptionClosed(self._closed)
        return self._hand_over()

    def _hand_over(self) -> list[Event]:
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
            self._waiter.set_result(False)

    def close(self) -> None:
        self.end("closed", discard=True)

    def end(self, reason: str, *, discard: bool = False) -> None:
        if self._closed is not None:
            return
        self._delivered = self._progress()
        self._closed = reason
        self._final = self._feed.revision
        if discard:
            self._events = []
        self._feed.unsubscribe(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    def _progress(self) -> int:
        return self._events[0].revision - 1 if self._events else self._feed.revision


class _Route:
    """Subscriptions of one bucket, found by cutting a key at the lengths that are watched.

    A thousand watches of single keys cost an event as little as one: a dictionary look-up.
    """

    def __init__(self) -> None:
        self.by_prefix: dict[str, _Watchers] = {}
        self.lengths: list[int] = []
        self._uses: dict[int, int] = {}

    def publish(self, event: Event) -> None:
        key = event.key
        for length in tuple(self.lengths):
            if length > len(key):
                break
            watchers = self.by_prefix.get(key[:length])
            if watchers is not None:
                watchers.publish(event)

    def add(self, subscription: BufferedSubscription) -> None:
        prefix = subscription.prefix
        if prefix not in self.by_prefix:
            self.by_prefix[prefix] = _Watchers()
            uses = self._uses.get(len(prefix), 0)
            self._uses[len(prefix)] = uses + 1
            if not uses:
                insort(self.lengths, len(prefix))
        self.by_prefix[prefix].add(subscription)

    def remove(self, subscription: BufferedSubscription) -> None:
        prefix = subscription.prefix
        watchers = self.by_prefix[prefix]
        watchers.remove(subscription)
        if not watchers.empty():
            return
        del self.by_prefix[prefix]
        self._uses[len(prefix)] -= 1
        if not self._uses[len(prefix)]:
            del self._uses[len(prefix)]
            self.lengths.remove(len(prefix))


class _Watchers:
    """Subscriptions of one prefix: those that want every event, and the others by their concern.

    Ten thousand that wait for other values cost an event one reading for each index.
    """

    __slots__ = ("_concerned", "_everything")

    def __init__(self) -> None:
        self._everything: dict[BufferedSubscription, None] = {}
        # index -> value -> subscriptions
        self._concerned: dict[Hashable, dict[str, dict[BufferedSubscription, None]]] = {}

    def publish(self, event: Event) -> None:
        # A full subscription unsubscribes itself while we walk.
        for subscription in tuple(self._everything):
            subscription.push(event)
        for by_value in tuple(self._concerned.values()):
            for subscription in _concerned(by_value, event):
                subscription.push(event)

    def add(self, subscription: BufferedSubscription) -> None:
        concern = subscription.concern
        if concern is None:
            self._everything[subscription] = None
            return
        by_value = self._concerned.setdefault(concern.key, {})
        for value in concern.values:
            by_value.setdefault(value, {})[subscription] = None

    def remove(self, subscription: BufferedSubscription) -> None:
        concern = subscription.concern
        if concern is None:
            del self._everything[subscription]
            return
        by_value = self._concerned[concern.key]
        for value in concern.values:
            del by_value[value][subscription]
            if not by_value[value]:
                del by_value[value]
        if not by_value:
            del self._concerned[concern.key]

    def empty(self) -> bool:
        return not self._everything and not self._concerned

    def all(self) -> dict[BufferedSubscription, None]:
        """Each of them, once."""
        found = dict(self._everything)
        for by_value in self._concerned.values():
            for subscriptions in by_value.values():
                found.update(subscriptions)
        return found


def _concerned(
    by_value: dict[str, dict[BufferedSubscription, None]], event: Event
) -> dict[BufferedSubscription, None]:
    """Whom of one index an event concerns, each once."""
    concern = next(iter(next(iter(by_value.values())))).concern
    assert concern is not None
    read = concern.read(event)
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
