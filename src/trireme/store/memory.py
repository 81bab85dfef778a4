"""The memory engine, for tests and simulation: durable at once, no thread, no clock.

In, out and callers: see ``contract``. A write never suspends its caller, so runs under a virtual
clock are deterministic.
"""

from __future__ import annotations

from collections.abc import Callable

from trireme.store.contract import Event, KeyValue, StoreUnavailable
from trireme.store.engine import Engine, Write


class MemoryStore(Engine):
    """``before_commit`` is called with each event; an OSError that it raises fails the write."""

    def __init__(
        self, *, history: int | None = None, before_commit: Callable[[Event], None] | None = None
    ) -> None:
        super().__init__(history=history)
        self._before_commit = before_commit

    async def _submit(self, write: Write) -> KeyValue:
        if self._before_commit is not None:
            try:
                self._before_commit(write.event)
            except OSError as error:
                raise StoreUnavailable(str(error)) from error
        self._apply(write.event, write.item)
        return write.item
