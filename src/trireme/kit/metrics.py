"""Metric families that several parts of one component share.

In: a component's registry and a family's name. Out: the one family of that name. prometheus-client
refuses a second registration, and a module-level family would be shared by all clusters of a
process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

M = TypeVar("M", bound=MetricWrapperBase)


def family(
    registry: prometheus_client.CollectorRegistry,
    kind: type[M],
    name: str,
    documentation: str,
    labels: Sequence[str] = (),
    **options: Any,
) -> M:
    """The family ``name`` of ``registry``, made at the first call.

    Raises TypeError when it is there as something else than ``kind``.
    """
    # The registry has no public look-up by name.
    known = registry._names_to_collectors.get(name)
    if known is None:
        return kind(name, documentation, labels, registry=registry, **options)
    if not isinstance(known, kind):
        raise TypeError(f"metric {name} is a {type(known).__name__}, not a {kind.__name__}")
    return known


def counter(
    registry: prometheus_client.CollectorRegistry,
    name: str,
    documentation: str,
    labels: Sequence[str] = (),
) -> prometheus_client.Counter:
    """A counter; its name ends in ``_total``."""
    return family(registry, prometheus_client.Counter, name, documentation, labels)


def gauge(
    registry: prometheus_client.CollectorRegistry,
    name: str,
    documentation: str,
    labels: Sequence[str] = (),
) -> prometheus_client.Gauge:
    """A gauge."""
    return family(registry, prometheus_client.Gauge, name, documentation, labels)


def histogram(
    registry: prometheus_client.CollectorRegistry,
    name: str,
    documentation: str,
    buckets: Sequence[float],
    labels: Sequence[str] = (),
) -> prometheus_client.Histogram:
    """A histogram."""
    kind = prometheus_client.Histogram
    return family(registry, kind, name, documentation, labels, buckets=buckets)


def exponential(start: float, factor: float, count: int) -> tuple[float, ...]:
    """Buckets: each is ``factor`` times the one before."""
    return tuple(start * factor**number for number in range(count))


class PlainCounter(prometheus_client.Gauge):
    """A counter under a name that does not end in ``_total``: the exposition format's type of it is
    "untyped", as the library gives counters no other name."""

    _type = "unknown"


def plain_counter(
    registry: prometheus_client.CollectorRegistry,
    name: str,
    documentation: str,
    labels: Sequence[str] = (),
) -> PlainCounter:
    """A counter whose name does not end in ``_total``."""
    return family(registry, PlainCounter, name, documentation, labels)


def collected(
    registry: prometheus_client.CollectorRegistry,
    collect: Callable[[], Iterable[Metric]],
    *names: str,
) -> None:
    """Families ``names`` that ``collect`` makes anew whenever they are read; those of an earlier
    call are replaced."""
    known = registry._names_to_collectors.get(names[0])
    if known is not None:
        registry.unregister(known)
    registry.register(_Collected(collect, names))


class _Collected(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]], names: Sequence[str]) -> None:
        self._collect = collect
        self._names = names

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        return [Metric(name, "", "gauge") for name in self._names]


def counted(
    name: str, documentation: str, labels: Sequence[str], counts: Mapping[tuple[str, ...], float]
) -> Metric:
    """A family of gauges, for ``collected``."""
    made = GaugeMetricFamily(name, documentation, labels=labels)
    for values, count in counts.items():
        made.add_metric(values, count)
    return made
