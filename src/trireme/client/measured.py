"""A transport that counts its requests and, where there is a limit, spaces them out.

In: a transport, metrics, a rate. Out: the same transport, with ``rest_client_*`` metrics. Made by
the composition root for each client of a component. Upstream: client-go ``rest`` and
``tools/metrics``, ``util/flowcontrol`` (a token bucket).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import prometheus_client

from trireme.client.transport import Response, Stream, Transport, Unreachable
from trireme.kit import metrics
from trireme.kit.clock import Clock

_DURATION = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_SIZE = (64, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)


@dataclass(frozen=True)
class Rate:
    """Requests per second on average, and at once; ``qps`` of 0 is no limit."""

    qps: float = 0.0
    burst: int = 0


class RestMetrics:
    """The families of one component, shared by its clients. ``host`` is the API server's."""

    def __init__(self, registry: prometheus_client.CollectorRegistry, host: str) -> None:
        counter, histogram = prometheus_client.Counter, prometheus_client.Histogram
        self._host = host
        self._total = metrics.family(
            registry,
            counter,
            "rest_client_requests_total",
            "HTTP requests, by status code, method and host",
            ["code", "method", "host"],
        )
        self._families = [
            metrics.family(registry, histogram, name, text, ["verb", "host"], buckets=buckets)
            for name, text, buckets in (
                ("rest_client_request_duration_seconds", "How long a request took", _DURATION),
                ("rest_client_request_size_bytes", "The size of a request's body", _SIZE),
                ("rest_client_response_size_bytes", "The size of a response's body", _SIZE),
                (
                    "rest_client_rate_limiter_duration_seconds",
                    "How long a request waited for the client's rate limit",
                    _DURATION,
                ),
            )
        ]
        self._by_method: dict[str, list[prometheus_client.Histogram]] = {}
        self._by_code: dict[tuple[str, str], prometheus_client.Counter] = {}

    def of(self, method: str) -> list[prometheus_client.Histogram]:
        """Duration, request size, response size, wait."""
        found = self._by_method.get(method)
        if found is None:
            found = [family.labels(method, self._host) for family in self._families]
            self._by_method[method] = found
        return found

    def count(self, method: str, code: str) -> None:
        """One request more; ``code`` is "<error>" without an answer."""
        found = self._by_code.get((method, code))
        if found is None:
            found = self._by_code[method, code] = self._total.labels(code, method, self._host)
        found.inc()


class Measured:
    """A ``Transport`` around another one."""

    def __init__(
        self, inner: Transport, counts: RestMetrics, clock: Clock, rate: Rate | None = None
    ) -> None:
        self._inner = inner
        self._counts = counts
        self._clock = clock
        self._bucket = TokenBucket(rate, clock) if rate is not None and rate.qps else None

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        duration, sent, received, _ = self._counts.of(method)
        await self._wait(method)
        began = self._clock.monotonic()
        try:
            answer = await self._inner.request(method, path, query, headers, body)
        except Unreachable:
            self._counts.count(method, "<error>")
            raise
        duration.observe(self._clock.monotonic() - began)
        sent.observe(len(body))
        received.observe(len(answer.body))
        self._counts.count(method, str(answer.status))
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Stream]:
        await self._wait(method)
        try:
            async with self._inner.stream(method, path, query, headers, body) as answer:
                self._counts.count(method, str(answer.status))
                yield answer
        except Unreachable:
            self._counts.count(method, "<error>")
            raise

    async def close(self) -> None:
        await self._inner.close()

    async def _wait(self, method: str) -> None:
        if self._bucket is not None:
            self._counts.of(method)[3].observe(await self._bucket.take())


class TokenBucket:
    """``take`` returns when the next request may be sent; requests wait in order."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        # When the bucket was, or will be, full but for the tokens that were taken.
        self._full_at = clock.monotonic()

    async def take(self) -> float:
        """Take a token; how long that took."""
        now = self._clock.monotonic()
        each = 1.0 / self._rate.qps
        self._full_at = max(self._full_at, now) + each
        wait = self._full_at - max(self._rate.burst, 1) * each - now
        if wait <= 0:
            return 0.0
        await self._clock.sleep(wait)
        return wait
