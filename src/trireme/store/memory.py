"""The memory engine, for tests and simulation: durable at once, no thread, no clock.

In, out and callers: see ``contract``. A write never suspends its caller, so runs under a virtual
clock are deterministic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trireme.store.contract import Event, KeyValue, StoreUnavailable
from trireme.store.engine import Engine, Write


class Contents(NamedTuple):
    """All that a store holds; its watchers can go on from every revision that is kept."""

    items: tuple[KeyValue, ...]
    revision: int
    compacted: int
    events: tuple[Event, ...]


class MemoryStore(Engine):
    """``before_commit`` is called with each event; an OSError that it raises fails the write.
    ``contents`` are those of an earlier store, whose bytes are shared."""

    def __init__(
        self,
        *,
        history: int | None = None,
        before_commit: Callable[[Event], None] | None = None,
        contents: Contents | None = None,
    ) -> None:
        super().__init__(history=history)
        self._before_commit = before_commit
        if contents is not None:
            self._assigned = contents.revision
            self._table.restore({item.key: item for item in contents.items})
            self._history.restore(contents.revision, contents.compacted, contents.events)

    def contents(self) -> Contents:
        """What it holds now."""
        return Contents(
            tuple(self.list("").items),
            self.revision,
            self.compacted,
            tuple(self._history.since("", self.compacted)),
        )

    async def _submit(self, write: Write) -> KeyValue:
        if self._before_commit is not None:
            try:
                self._before_commit(write.event)
            except OSError as error:
                raise StoreUnavailable(str(error)) from error
        self._apply(write.event, write.item)
        return write.item
