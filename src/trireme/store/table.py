"""The live items in order of their keys, and their state at an older revision.

In: durable events, from an engine. Out: items and pages, without waiting and without copies.
Older states are not stored: they are the present with the events after that revision undone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from sortedcontainers import SortedList

from trireme.store.contract import CREATED, DELETED, Event, KeyValue, Page
from trireme.store.history import EventHistory


class Table:
    def __init__(self, history: EventHistory) -> None:
        self._history = history
        self._items: dict[str, KeyValue] = {}
        self._keys: SortedList[str] = SortedList()

    def restore(self, items: dict[str, KeyValue]) -> None:
        self._items = items
        self._keys = SortedList(items)

    def apply(self, event: Event, item: KeyValue) -> None:
        key = event.key
        if event.type == DELETED:
            del self._items[key]
            self._keys.remove(key)
            return
        if event.type == CREATED:
            self._keys.add(key)
        self._items[key] = item

    def replace(self, item: KeyValue) -> None:
        """Another value of the same revision."""
        self._items[item.key] = item

    def get(self, key: str) -> KeyValue | None:
        return self._items.get(key)

    def count(self, prefix: str) -> int:
        low, high = self._range(prefix)
        return high - low

    def list(self, prefix: str, after: str | None, limit: int, revision: int | None) -> Page:
        """A page of ``prefix``, after the key ``after``; ``limit`` 0: all. Errors of ``since``."""
        if limit < 0:
            raise ValueError(f"limit {limit} is negative")
        current = self._history.revision
        if revision is not None and revision != current:
            return self._list_past(prefix, after, limit, revision)
        low, high = self._range(prefix)
        if after is not None:
            low = min(high, max(low, self._keys.bisect_right(after)))
        stop = min(low + limit, high) if limit else high
        items = self._items
        page = [items[key] for key in self._keys.islice(low, stop)]
        return Page(page, current, stop < high, high - stop)

    def _list_past(self, prefix: str, after: str | None, limit: int, revision: int) -> Page:
        undo = _before(self._history.since(prefix, revision))
        low, high = self._range(prefix)
        # Timsort merges the two ordered runs in linear time.
        keys = [key for key in self._keys.islice(low, high) if key not in undo]
        keys += sorted(key for key, item in undo.items() if item is not None)
        keys.sort()
        start = bisect_right(keys, after) if after is not None else 0
        stop = min(start + limit, len(keys)) if limit else len(keys)
        items = self._items
        page = [undo.get(key) or items[key] for key in keys[start:stop]]
        return Page(page, revision, stop < len(keys), max(0, len(keys) - stop))

    def _range(self, prefix: str) -> tuple[int, int]:
        if not prefix:
            return 0, len(self._keys)
        low: int = self._keys.bisect_left(prefix)
        end = _successor(prefix)
        return low, len(self._keys) if end is None else self._keys.bisect_left(end)


def _before(events: Iterable[Event]) -> dict[str, KeyValue | None]:
    """What each key was before the first of its events: None where it did not exist."""
    state: dict[str, KeyValue | None] = {}
    for event in events:
        if event.key in state:
            continue
        if event.previous is None or event.previous_revision is None:
            state[event.key] = None
        else:
            state[event.key] = KeyValue(
                event.key, event.previous, event.previous_revision, event.created
            )
    return state


def _successor(prefix: str) -> str | None:
    """The least string above all that start with ``prefix``; None if there is none."""
    trimmed = prefix.rstrip("\U0010ffff")
    return trimmed[:-1] + chr(ord(trimmed[-1]) + 1) if trimmed else None
