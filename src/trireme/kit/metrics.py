"""Metric families that several parts of one component share.

In: a component's registry and a family's name. Out: the one family of that name. prometheus-client
refuses a second registration, and a module-level family would be shared by all clusters of a
process.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
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


class Tally:
    """The observations of a histogram with one set of labels: what a hot path keeps at hand.

    An observation is a look-up and two additions, a tenth of what the library's own takes; it is
    made on the loop alone, and read from any thread.
    """

    __slots__ = ("bounds", "counts", "first", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.first = bounds[0]
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[0 if value <= self.first else bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """As the format has them: of all that is not larger."""
        found: list[tuple[str, float]] = []
        sum_ = 0
        for bound, count in zip((*self.bounds, float("inf")), list(self.counts), strict=True):
            sum_ += count
            found.append(("+Inf" if bound == float("inf") else f"{bound:g}", sum_))
        return found


class Tallies:
    """A family of histograms: a ``Tally`` for each set of labels."""

    def __init__(
        self, name: str, documentation: str, bounds: Sequence[float], labels: Sequence[str] = ()
    ) -> None:
        self.name = name
        self._documentation = documentation
        self._bounds = bounds
        self._labels = labels
        self.children: dict[tuple[str, ...], Tally] = {}

    def of(self, *values: str) -> Tally:
        """The child of these labels, made at the first call."""
        child = self.children.get(values)
        if child is None:
            child = self.children[values] = Tally(self._bounds)
        return child

    def family(self) -> Metric:
        made = HistogramMetricFamily(self.name, self._documentation, labels=self._labels)
        for values, child in list(self.children.items()):
            made.add_metric(values, child.buckets(), child.total)
        return made

    def counted(self, name: str, documentation: str) -> Observed:
        """A family that counts the same: it costs no counting of its own."""
        return Observed(name, documentation, self._labels, self.children)


class Observed:
    """How many observations each child of a ``Tallies`` has."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        children: Mapping[tuple[str, ...], Tally],
    ) -> None:
        self.name = name
        self._documentation = documentation
        self._labels = labels
        self._children = children

    def family(self) -> Metric:
        counts = {values: sum(child.counts) for values, child in list(self._children.items())}
        return _counter(self.name, self._documentation, self._labels, counts)


class Counts:
    """A family of counters with labels. One whose name does not end in ``_total`` is "untyped" in
    the format, as the library gives counters no other name."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._documentation = documentation
        self._labels = labels
        self.children: dict[tuple[str, ...], float] = {}

    def add(self, *values: str, count: float = 1) -> None:
        self.children[values] = self.children.get(values, 0) + count

    def family(self) -> Metric:
        return _counter(self.name, self._documentation, self._labels, dict(self.children))


def _counter(
    name: str, documentation: str, labels: Sequence[str], counts: Mapping[tuple[str, ...], float]
) -> Metric:
    kind = CounterMetricFamily if name.endswith("_total") else UnknownMetricFamily
    made = kind(name, documentation, labels=labels)
    for values, count in counts.items():
        made.add_metric(values, count)
    return made


def expose(
    registry: prometheus_client.CollectorRegistry, *families: Tallies | Counts | Observed
) -> None:
    """Show families in a registry, in the place of those that had their names."""
    collected(
        registry,
        lambda: [one.family() for one in families],
        *(one.name.removesuffix("_total") for one in families),
    )
