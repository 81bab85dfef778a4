"""The store's values: items, pages, events, and filters of watches.

Part of ``contract``, which is where others import it from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Literal, NamedTuple

import msgspec

EventType = Literal["created", "modified", "deleted"]
CREATED: EventType = "created"
MODIFIED: EventType = "modified"
DELETED: EventType = "deleted"


class Value(NamedTuple):
    """A value with one slot: stored as ``head + str(revision) + tail``."""

    head: bytes
    tail: bytes


class KeyValue(msgspec.Struct, frozen=True, gc=False):
    """One stored item. ``revision`` is that of its last write, ``created`` that of its creation."""

    key: str
    value: bytes
    revision: int
    created: int


class Event(msgspec.Struct, frozen=True, gc=False):
    """One change. ``previous`` is the value before it; a deletion's ``value`` is the final one."""

    type: EventType
    key: str
    value: bytes
    previous: bytes | None
    revision: int
    created: int
    previous_revision: int | None


class Page(NamedTuple):
    """Part of a listing: ``remaining`` items follow it, and ``more`` says whether that is any."""

    items: list[KeyValue]
    revision: int
    more: bool
    remaining: int


class WatchFilter(NamedTuple):
    """The events that a watcher gets: those for which ``read`` returns one of ``values``, or None
    (unknown). Watchers with the same ``key`` share one call of ``read`` for an event."""

    key: Hashable
    values: Collection[str]
    read: Callable[[Event], Collection[str] | None]
