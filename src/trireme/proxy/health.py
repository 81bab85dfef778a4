"""The proxy's health: /healthz and /livez. It is healthy while its last sync is not overdue.

Upstream: pkg/proxy/healthcheck; port 10256.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from trireme.kit.clock import Clock
from trireme.machinery import time

# Seconds; a change that waits longer makes the proxy unhealthy.
OVERDUE = 60.0


class Health:
    """When changes were observed and applied."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._oldest: float | None = None
        self._updated = 0.0

    def queued(self) -> None:
        """A change waits to be applied."""
        if self._oldest is None:
            self._oldest = self._clock.monotonic()

    def done(self) -> None:
        """All observed changes are applied."""
        self._oldest = None
        self._updated = self._clock.now()

    def report(self) -> tuple[bool, bytes]:
        """Whether the proxy is healthy, and the body of the response."""
        well = self._oldest is None or self._clock.monotonic() - self._oldest < OVERDUE
        body = {
            "lastUpdated": time.format(self._updated),
            "currentTime": time.format(self._clock.now()),
            "nodeEligible": True,
        }
        return well, msgspec.json.encode(body)


async def serving(health: Health, address: tuple[str, int]) -> web.ServerRunner:
    """Serve the reports; the caller cleans the runner up."""

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path not in ("/healthz", "/livez"):
            return web.Response(status=404, text="404 page not found\n")
        well, body = health.report()
        return web.Response(status=200 if well else 503, body=body, content_type="application/json")

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, *address, reuse_address=True).start()
    return runner
