"""Bounds on the requests that are answered at a time: 429 beyond, to be tried again in a second.

In: a request whose user is known. Out: None, and the request counts until it is closed, or the
answer that there are too many. Those that read and those that write are counted apart. Not counted
are requests that last (watch, proxy, exec, attach, portforward, log); system:masters are always
answered. Upstream: apiserver ``server/filters/maxinflight.go``.
"""

from __future__ import annotations

import prometheus_client
from prometheus_client.metrics_core import Metric

from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import ANONYMOUS, READ_VERBS, Request, is_long_running
from trireme.kit import metrics

PRIVILEGED = "system:masters"


class InFlight:
    """Counts one API server's requests; a limit of 0 is none."""

    def __init__(self, reading: int, mutating: int) -> None:
        self._reading = _Count(reading)
        self._mutating = _Count(mutating)

    def show(self, registry: prometheus_client.CollectorRegistry) -> None:
        """Show in a registry how many there are now."""
        name = "apiserver_current_inflight_requests"

        def collect() -> list[Metric]:
            kinds: dict[tuple[str, ...], float] = {
                ("readOnly",): self._reading.now,
                ("mutating",): self._mutating.now,
            }
            return [metrics.counted(name, "Requests being answered", ("request_kind",), kinds)]

        metrics.collected(registry, collect, name)

    def enter(self, request: Request) -> Reply | None:
        """Count the request until it is closed; the refusal where it is one too many."""
        info = request.info
        if is_long_running(info):
            return None
        count = self._reading if info.verb in READ_VERBS else self._mutating
        if count.now < count.limit or not count.limit:
            count.now += 1
            request.at_end(count.leave)
            return None
        if PRIVILEGED in (request.user or ANONYMOUS).groups:
            return None
        return too_many(1)


class _Count:
    """How many there are, and may be."""

    __slots__ = ("leave", "limit", "now")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.now = 0
        # Bound once: each request keeps it.
        self.leave = self._leave

    def _leave(self) -> None:
        self.now -= 1


def too_many(after: int) -> Reply:
    """The refusal: to be tried again after so many seconds."""
    return Reply(
        429,
        b"Too many requests, please try again later.\n",
        "text/plain; charset=utf-8",
        {"Retry-After": str(after), "X-Content-Type-Options": "nosniff"},
    )
