"""Run a test in virtual time: nothing waits, and the same seed gives the same run.

    @virtual.test(seed=1)
    async def test_backs_off(env): ...

The test gets ``env``, whose clock leaps whenever nothing can run. Fixtures of pytest work beside
it, as long as they are not async. A test that waits for what never comes ends with ``Deadlock``;
one that never stops setting timers ends after ``limit`` seconds of virtual time.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from trireme.kit.clock import VirtualClock, VirtualLoop
from trireme.kit.env import Env

T = TypeVar("T")

# Far beyond any story: five virtual years.
LIMIT = 5 * 365 * 24 * 3600.0


def run(main: Callable[[Env], Awaitable[T]], *, seed: int = 0, limit: float = LIMIT) -> T:
    """Run ``main(env)`` on a fresh virtual loop; all its tasks have ended afterwards."""

    async def bounded() -> T:
        env = Env(clock=VirtualClock(asyncio.get_running_loop()), rng=random.Random(seed))
        async with asyncio.timeout(limit):
            return await main(env)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(bounded())


def test(*, seed: int = 0, limit: float = LIMIT) -> Callable[[Callable[..., Any]], Any]:
    """Decorator for an async test that takes ``env`` (and pytest's fixtures)."""

    def decorate(body: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        @functools.wraps(body)
        def wrapper(**fixtures: Any) -> None:
            run(lambda env: body(env=env, **fixtures), seed=seed, limit=limit)

        signature = inspect.signature(body)
        kept = [p for p in signature.parameters.values() if p.name != "env"]
        # Functions have it, says inspect, but not their type.
        wrapper.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        del wrapper.__wrapped__
        return wrapper

    return decorate


# pytest must not take the decorator itself for a test: an attribute that functions do not declare.
test.__test__ = False  # type: ignore[attr-defined]


async def run_ready(turns: int = 50) -> None:
    """Let all ready tasks run, without advancing the time."""
    for _ in range(turns):
        await asyncio.sleep(0)
