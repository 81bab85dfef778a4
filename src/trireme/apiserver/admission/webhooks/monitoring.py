"""Metrics of webhooks: how long each takes, how often it is asked, refuses and fails.

In: the outcome of a call. Out: families of the component's registry, under upstream's names.
Upstream: apiserver ``admission/metrics``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import prometheus_client

from trireme.kit import metrics

_PREFIX: Final = "apiserver_admission_webhook_"
_BUCKETS: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0)
# Codes beyond count as this one: they are others' to choose.
_HIGHEST: Final = 600
CALLING, INTERNAL, NONE = "calling_webhook_error", "apiserver_internal_error", "no_error"


class Outcome(NamedTuple):
    """What came of a call. ``error``: which sort of error refused the write; "" where none did."""

    name: str
    mutating: bool
    operation: str
    seconds: float
    code: int
    error: str = ""
    failed_open: bool = False


def observe(registry: prometheus_client.CollectorRegistry, outcome: Outcome) -> None:
    """Count a call."""
    kind = "admit" if outcome.mutating else "validating"
    rejected = "true" if outcome.error else "false"
    code = str(min(outcome.code, _HIGHEST))
    operation = outcome.operation
    metrics.histogram(
        registry,
        f"{_PREFIX}admission_duration_seconds",
        "Seconds that webhooks take, by name, operation and outcome.",
        _BUCKETS,
        ("name", "type", "operation", "rejected"),
    ).labels(outcome.name, kind, operation, rejected).observe(outcome.seconds)
    metrics.counter(
        registry,
        f"{_PREFIX}request_total",
        "Calls of webhooks, by the code of the answer.",
        ("name", "type", "operation", "code", "rejected"),
    ).labels(outcome.name, kind, operation, code, rejected).inc()
    if outcome.error:
        metrics.plain_counter(
            registry,
            f"{_PREFIX}rejection_count",
            "Writes that webhooks refused, or that were refused as a webhook failed.",
            ("name", "type", "operation", "error_type", "rejection_code"),
        ).labels(outcome.name, kind, operation, outcome.error, code).inc()
    if outcome.failed_open:
        metrics.plain_counter(
            registry,
            f"{_PREFIX}fail_open_count",
            "Calls that failed and whose failure policy is Ignore.",
            ("name", "type"),
        ).labels(outcome.name, kind).inc()
