"""The event correlator: counts repeats, combines similar events, drops floods. Pure.

In: an event, and the time. Out: what to write (a new event, or a patch of a former one), or None.
Called by ``recorder``. Rules: client-go ``tools/record`` EventCorrelator:

- a source gets 25 events about an object, and one more every 5 minutes;
- from the tenth event within 10 minutes that differs from others by its message only, they are
  combined into one event whose message says so;
- the same event again raises ``count`` of the first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

import msgspec

from trireme.api.core.v1.event import Event

T = TypeVar("T")

CAPACITY = 4096
SIMILAR_EVENTS = 10
SIMILAR_SECONDS = 600.0
BURST = 25
PER_SECOND = 1.0 / 300.0

Identity = tuple[str, ...]


class Write(msgspec.Struct, frozen=True):
    """What to write. ``repeat``: patch the count, time and message of an event that is there;
    ``identity`` is for ``Correlator.written``."""

    event: Event
    repeat: bool
    identity: Identity


class _Recent(OrderedDict[Identity, T], Generic[T]):
    """The most recently used entries."""

    def find(self, identity: Identity) -> T | None:
        found = self.get(identity)
        if found is not None:
            self.move_to_end(identity)
        return found

    def keep(self, identity: Identity, value: T) -> None:
        self[identity] = value
        self.move_to_end(identity)
        if len(self) > CAPACITY:
            self.popitem(last=False)


class _Bucket(msgspec.Struct):
    tokens: float
    at: float


class _Similar(msgspec.Struct):
    messages: dict[str, None]
    at: float


class _First(msgspec.Struct, frozen=True):
    """The event whose count repeats raise."""

    name: str
    first: str | None
    count: int


class Correlator:
    """The state of one recorder. Times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._buckets: _Recent[_Bucket] = _Recent()
        self._similar: _Recent[_Similar] = _Recent()
        self._firsts: _Recent[_First] = _Recent()

    def correlate(self, event: Event, now: float) -> Write | None:
        """What to write for ``event``; None when its source exceeds the rate limit."""
        event, identity = self._fold(event, now)
        known = self._firsts.find(identity)
        if known is None:
            self._firsts.keep(identity, _First(event.metadata.name, event.firstTimestamp, 1))
        else:
            # Events dropped below count as well, in the next one that is written.
            count = known.count + 1
            self._firsts.keep(identity, _First(known.name, known.first, count))
            metadata = msgspec.structs.replace(event.metadata, name=known.name)
            event = msgspec.structs.replace(
                event, metadata=metadata, firstTimestamp=known.first, count=count
            )
        return Write(event, known is not None, identity) if self._allowed(event, now) else None

    def written(self, identity: Identity, stored: Event) -> None:
        """The server has it as ``stored``: later repeats count on that."""
        self._firsts.keep(
            identity, _First(stored.metadata.name, stored.firstTimestamp, stored.count)
        )

    def forget(self, identity: Identity) -> None:
        """It was not written: the next repeat is written as a new event."""
        self._firsts.pop(identity, None)

    def _fold(self, event: Event, now: float) -> tuple[Event, Identity]:
        group = (
            *_source_and_object(event),
            event.type,
            event.reason,
            event.reportingComponent,
            event.reportingInstance,
        )
        similar = self._similar.find(group)
        if similar is None or now - similar.at > SIMILAR_SECONDS:
            similar = _Similar({}, now)
        similar.messages[event.message] = None
        similar.at = now
        self._similar.keep(group, similar)
        if len(similar.messages) < SIMILAR_EVENTS:
            where = event.involvedObject.fieldPath
            return event, (
                *_source_and_object(event),
                where,
                event.type,
                event.reason,
                event.message,
            )
        similar.messages.popitem()
        message = f"(combined from similar events): {event.message}"
        return msgspec.structs.replace(event, message=message), ("similar", *group)

    def _allowed(self, event: Event, now: float) -> bool:
        """Take a token of the source and object."""
        identity = (*_source_and_object(event), event.type)
        bucket = self._buckets.find(identity) or _Bucket(BURST, now)
        tokens = min(float(BURST), bucket.tokens + (now - bucket.at) * PER_SECOND)
        allowed = tokens >= 1.0
        self._buckets.keep(identity, _Bucket(tokens - 1.0 if allowed else tokens, now))
        return allowed


def _source_and_object(event: Event) -> Identity:
    """The source and the object."""
    about = event.involvedObject
    return (
        event.source.component,
        event.source.host,
        about.kind,
        about.namespace,
        about.name,
        about.uid,
        about.apiVersion,
    )
