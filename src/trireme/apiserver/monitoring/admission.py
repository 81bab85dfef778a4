"""Metrics of admission: how long each plugin, and each step of all of them, takes.

In: the outcome of each. Out: families under upstream's names. Upstream: apiserver
``admission/metrics``; webhooks have their own in ``admission/webhooks/monitoring``.
"""

from __future__ import annotations

from typing import Final

import prometheus_client

from trireme.kit import metrics
from trireme.kit.metrics import Tallies, Tally

_PREFIX: Final = "apiserver_admission_"
_BUCKETS: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
# What takes no longer is in the first bucket.
SHORT: Final = _BUCKETS[0]
_STEP: Final = ("type", "operation", "rejected")
ADMIT, VALIDATE = "admit", "validate"


class AdmissionMetrics:
    """The plugins of one API server."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._plugins = Tallies(
            f"{_PREFIX}controller_admission_duration_seconds",
            "Seconds that admission plugins take, by name, operation and outcome",
            _BUCKETS,
            ("name", *_STEP),
        )
        self._steps = Tallies(
            f"{_PREFIX}step_admission_duration_seconds",
            "Seconds that all of them take, by operation and outcome",
            _BUCKETS,
            _STEP,
        )
        metrics.expose(registry, self._plugins, self._steps)

    def plugin(self, name: str, step: str, operation: str, *, rejected: bool = False) -> Tally:
        """Where the calls of a plugin are observed."""
        return self._plugins.of(name, step, operation, "true" if rejected else "false")

    def step(self, step: str, operation: str, *, rejected: bool = False) -> Tally:
        """Where the step of all plugins is observed."""
        return self._steps.of(step, operation, "true" if rejected else "false")
