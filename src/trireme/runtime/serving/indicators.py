"""Service level indicators, for /metrics/slis: the state of each health check, and how often which
was found.

In: the results of checks: what is wrong, by name; "" where nothing is. Out: a page in Prometheus'
text format. Upstream: component-base ``metrics/prometheus/slis``, KEP-3466.
"""

from __future__ import annotations

from collections.abc import Mapping

import prometheus_client

from trireme.kit import metrics


class Indicators:
    """The checks of one component."""

    def __init__(self) -> None:
        self._registry = prometheus_client.CollectorRegistry(auto_describe=False)
        self._state = metrics.gauge(
            self._registry, "kubernetes_healthcheck", "Whether a check passes", ["name", "type"]
        )
        self._total = metrics.counter(
            self._registry,
            "kubernetes_healthchecks_total",
            "How often a check passed, or did not",
            ["name", "type", "status"],
        )

    def checked(self, page: str, results: Mapping[str, str]) -> None:
        """Somebody got a health page ("livez")."""
        for name, problem in results.items():
            self._total.labels(name, page, "error" if problem else "success").inc()

    def page(self, current: Mapping[str, Mapping[str, str]]) -> bytes:
        """``current``: the results now, by page."""
        for page, results in current.items():
            for name, problem in results.items():
                self._state.labels(name, page).set(not problem)
        return prometheus_client.generate_latest(self._registry)
