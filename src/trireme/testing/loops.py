"""Virtual loops that outlive a coroutine: a test's clock, which calls from outside set going.

In: coroutines. Out: their results; between two calls time stands still and nothing runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from trireme.kit.clock import VirtualLoop

T = TypeVar("T")


class Driver:
    """A ``VirtualLoop`` of one thread. ``close`` ends all that still runs on it."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run until ``work`` is done. RuntimeError inside a running loop."""
        if is_running():
            work.close()
            raise RuntimeError("a loop runs already: in async code use the cluster's coroutines")
        return self._runner.run(work)

    def close(self) -> None:
        self._runner.close()


def is_running() -> bool:
    """Whether this is called by a coroutine."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def run(main: Callable[[], Awaitable[T]]) -> T:
    """``asyncio.run`` under virtual time: for scripts with ``async with Cluster(...)``."""

    async def body() -> T:
        return await main()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(body())
