"""The environment of a component: clock, rng, log, metrics, and the callback ``started``.

An ``Env`` is made by the composition root (``cluster/topology``) or by a test, once per component.
Nothing in Trireme reads a global clock, generator or registry, so that a hundred clusters can share
one process and a seed replays a run.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import prometheus_client

from trireme.kit.clock import Clock, RealClock

# The bits of a UUID that are not its own but say what it is: version 4, variant 1 (RFC 9562). By
# hand, as every write and every answer has one and uuid.UUID takes three times as long.
_VERSION_4 = 4 << 76 | 2 << 62
_RANDOM_BITS = (1 << 128) - 1 & ~(15 << 76 | 3 << 62)

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True)
class Env:
    """The injected dependencies of one component."""

    clock: Clock = field(default_factory=RealClock)
    rng: random.Random = field(default_factory=random.SystemRandom)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("trireme"))
    metrics: prometheus_client.CollectorRegistry = field(
        default_factory=lambda: prometheus_client.CollectorRegistry(auto_describe=False)
    )
    started: Callable[[], None] = lambda: None
    # Seconds for which work may be finished that is under way when the component is cancelled.
    grace: float = 0.0

    def uid(self) -> str:
        """A random (version 4) UUID, from ``rng``."""
        text = f"{self.rng.getrandbits(128) & _RANDOM_BITS | _VERSION_4:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def suffix(self, length: int = 5) -> str:
        """A random name suffix in the alphabet that generated names use (no vowels, no 0, 1, 3)."""
        # At once: each look at the kernel's randomness costs half a microsecond. With so many bits
        # no letter is likelier than another by more than one in 2^24.
        bits = self.rng.getrandbits(8 * length + 24)
        letters = []
        for _ in range(length):
            bits, at = divmod(bits, len(_LETTERS))
            letters.append(_LETTERS[at])
        return "".join(letters)

    def named(self, component: str) -> Env:
        """The same environment for one component, with its own log name and metrics."""
        return replace(
            self,
            log=self.log.getChild(component),
            metrics=prometheus_client.CollectorRegistry(auto_describe=False),
        )


async def start(
    group: asyncio.TaskGroup, env: Env, run: Callable[[Env], Coroutine[Any, Any, None]], name: str
) -> asyncio.Task[None]:
    """Run a component in ``group`` and return once it has called ``env.started()``.

    Raises what the component raised if it ended before that.
    """
    ready = asyncio.Event()
    task = group.create_task(run(replace(env, started=ready.set)), name=name)
    waiter = asyncio.ensure_future(ready.wait())
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
    if task.done() and not ready.is_set():
        task.result()
        raise RuntimeError(f"{name} ended before it was ready")
    return task
