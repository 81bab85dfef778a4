"""The memory engine, for tests and simulation: durable at once, no thread, no clock.

In, out and callers: see ``contract``. A write shows and returns without ever suspending its caller,
so runs under a virtual clock are deterministic.
"""

from __future__ import annotations

from collections.abc import Callable

from trireme.store.contract import Event, KeyValue, StoreUnavailable
from trireme.store.engine import Engine, Write


class MemoryStore(Engine):
    """``fault`` sees each event before it becomes durable; an OSError that it raises fails it."""

    def __init__(
        self, *, history: int | None = None, fault: Callable[[Event], None] | None = None
    ) -> None:
        super().__init__(history=history)
        self._fault = fault

    async def _submit(self, write: Write) -> KeyValue:
        if self._fault is not None:
            try:
                self._fault(write.event)
            except OSError as error:
                raise StoreUnavailable(str(error)) from error
        self._show(write)
        return write.item
