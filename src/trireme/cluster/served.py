"""The pages that a component of the control plane serves.

In: its name, health checks, flags. Out: ``Pages`` for ``runtime.serving``. Upstream: component-base
``zpages`` (flagz, statusz), ``metrics``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import prometheus_client
from prometheus_client.metrics_core import Metric

from trireme.apiserver.config import VERSION
from trireme.kit import metrics
from trireme.kit.env import Env
from trireme.machinery.codec import json
from trireme.runtime.serving import build, zpages
from trireme.runtime.serving.health import Checks
from trireme.runtime.serving.server import TEXT, Pages


@dataclass(frozen=True, kw_only=True)
class Served:
    """``name`` is upstream's. ``health``: checks by path; ``flags``: all flags and their values,
    ``configz``: the configuration; both empty, and not served, where the component was not started
    by a command."""

    name: str
    health: Mapping[str, Checks] = field(default_factory=lambda: {"/healthz": Checks()})
    flags: Mapping[str, str] = field(default_factory=dict)
    configz: Mapping[str, Any] = field(default_factory=dict)

    def pages(self, env: Env, disabled_metrics: Iterable[str] = ()) -> Pages:
        """Its pages, with the metrics of ``env`` and of the process."""
        registry = env.metrics
        prometheus_client.ProcessCollector(registry=registry)
        build.show(registry, VERSION)
        disabled = frozenset(disabled_metrics)
        for name, text, count in (
            ("disabled_metrics_total", "Metrics that a flag disables", len(disabled)),
            ("hidden_metrics_total", "Metrics that are hidden: none", 0),
        ):
            metrics.counter(registry, name, text).inc(count)
        began = env.clock.now()
        texts: dict[str, Callable[[], tuple[str, bytes]]] = {}
        if self.flags:
            texts["/flagz"] = lambda: (TEXT, zpages.flagz(self.name, self.flags).encode())
        if self.configz:
            texts["/configz"] = lambda: ("application/json", json.encode(self.configz))
        paths = sorted(["/metrics", "/metrics/slis", "/statusz", *texts, *self.health])

        def statusz() -> tuple[str, bytes]:
            text = zpages.statusz(self.name, VERSION, began, env.clock.now(), paths)
            return TEXT, text.encode()

        texts["/statusz"] = statusz
        return Pages(metrics=Without(registry, disabled), health=self.health, texts=texts)


class Without(prometheus_client.CollectorRegistry):
    """Another registry, without some metrics."""

    def __init__(self, inner: prometheus_client.CollectorRegistry, disabled: Iterable[str]) -> None:
        super().__init__()
        self._inner = inner
        # A counter's family is named without the ending of its sample.
        self._disabled = {name.removesuffix("_total") for name in disabled}

    def collect(self) -> Iterable[Metric]:
        return (item for item in self._inner.collect() if item.name not in self._disabled)
