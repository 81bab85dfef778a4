"""A transport that counts its requests and, where there is a limit, spaces them out.

In: a transport, metrics, a rate. Out: the same transport, with ``rest_client_*`` metrics. Made by
the composition root for each client of a component. Upstream: client-go ``rest`` and
``tools/metrics``, ``util/flowcontrol`` (a token bucket).
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import prometheus_client
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from trireme.client.transport import Response, Stream, Transport, Unreachable
from trireme.kit import metrics
from trireme.kit.clock import Clock
from trireme.kit.env import Env

_DURATION = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_SIZE = (64, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)
_HISTOGRAMS: Final = (
    ("rest_client_request_duration_seconds", "How long a request took", _DURATION),
    ("rest_client_request_size_bytes", "The size of a request's body", _SIZE),
    ("rest_client_response_size_bytes", "The size of a response's body", _SIZE),
    (
        "rest_client_rate_limiter_duration_seconds",
        "How long a request waited for the client's rate limit",
        _DURATION,
    ),
)


@dataclass(frozen=True)
class Rate:
    """Requests per second on average, and at once; ``qps`` of 0 is no limit."""

    qps: float = 0.0
    burst: int = 0


class _Buckets:
    """A histogram's counts, without locks: all clients of a component are on one event loop, and
    make several observations for each request."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        names = [*map(_text, self.bounds), "+Inf"]
        return list(zip(names, itertools.accumulate(self.counts), strict=True))


def _text(bound: float) -> str:
    text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]  # the library has no types
    return text


class RestMetrics:
    """The families of one component, shared by its clients. ``host`` is the API server's."""

    def __init__(self, registry: prometheus_client.CollectorRegistry, host: str) -> None:
        self._host = host
        self._by_method: dict[str, list[_Buckets]] = {}
        self._codes: Counter[tuple[str, str]] = Counter()
        names = (name for name, _, _ in _HISTOGRAMS)
        metrics.collected(registry, self._collect, "rest_client_requests_total", *names)

    def of(self, method: str) -> list[_Buckets]:
        """Duration, request size, response size, wait."""
        found = self._by_method.get(method)
        if found is None:
            found = self._by_method[method] = [_Buckets(bounds) for _, _, bounds in _HISTOGRAMS]
        return found

    def count(self, method: str, code: str) -> None:
        """One request more; ``code`` is "<error>" without an answer."""
        self._codes[code, method] += 1

    def _collect(self) -> Iterable[Metric]:
        text = "HTTP requests, by status code, method and host"
        total = CounterMetricFamily("rest_client_requests", text, labels=["code", "method", "host"])
        for (code, method), number in self._codes.items():
            total.add_metric([code, method, self._host], number)
        yield total
        for position, (name, text, _) in enumerate(_HISTOGRAMS):
            family = HistogramMetricFamily(name, text, labels=["verb", "host"])
            for method, found in self._by_method.items():
                buckets = found[position]
                family.add_metric([method, self._host], buckets.cumulative(), buckets.sum)
            yield family


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


Wrap = Callable[[Transport], Transport]


def wrapping(env: Env, server: str, rate: Rate | None = None) -> Wrap:
    """Makes each client's transport count its requests, and keep to the rate; ``server`` is a
    URL."""
    counts = RestMetrics(env.metrics, server.partition("://")[2].partition("/")[0])
    return lambda transport: Measured(transport, counts, env.clock, rate)


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
