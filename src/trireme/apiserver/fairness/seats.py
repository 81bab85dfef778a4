"""How much work a request is, and the unit in which work is counted. Pure.

A request holds ``initial`` seats while it is answered and ``final`` seats for ``latency`` seconds
after that (its watchers are notified meanwhile). Work is seats times time, in integers of 1e-8
seat-seconds. Upstream: apiserver ``util/flowcontrol/request``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

SCALE: Final = 100_000_000
# What answering a request is taken to last before it is known, in seconds.
SERVICE_TIME: Final = 0.003


class Estimate(NamedTuple):
    """The seats of one request."""

    initial: int = 1
    final: int = 0
    latency: float = 0.0


ONE: Final = Estimate()


def work(seats: float, seconds: float) -> int:
    """Seats for some time."""
    return round(seats * seconds * SCALE)


def text(amount: int) -> str:
    """As upstream prints it: ``1.50000000ss``."""
    return f"{amount // SCALE}.{amount % SCALE:08d}ss"


class Ticket:
    """One request at a priority level, from its arrival to its end. Made by the caller, changed by
    ``QueueSet`` only. ``admit`` is called when a ticket that waited is executed."""

    __slots__ = (
        "admit",
        "arrived",
        "arrived_at",
        "digest",
        "distinguisher",
        "estimate",
        "queue",
        "schema",
        "seats",
        "started",
        "work",
    )

    def __init__(
        self, estimate: Estimate, schema: str = "", distinguisher: str = "", digest: Any = None
    ) -> None:
        self.estimate = estimate
        self.schema = schema
        self.distinguisher = distinguisher
        # Who asks for what, for the debug page.
        self.digest = digest
        initial, final, latency = estimate
        self.seats = initial if initial >= final else final
        self.work = round(initial * SERVICE_TIME * SCALE)
        if final:
            self.work += work(final, latency)
        self.queue: Any = None
        self.admit: Any = None
        # Times in seconds, and the progress of the queue set at the arrival.
        self.arrived = self.started = 0.0
        self.arrived_at = 0
