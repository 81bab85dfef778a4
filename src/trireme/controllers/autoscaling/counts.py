"""What is counted about autoscalers. Names and labels are upstream's,
pkg/controller/podautoscaler/monitor.

In: what the reconciler did. Out: families in the manager's registry. Called by ``reconcile``.
"""

from __future__ import annotations

import prometheus_client

from trireme.api.autoscaling.v2.horizontalpodautoscaler import HorizontalPodAutoscaler
from trireme.api.autoscaling.v2.metrics import MetricSpec
from trireme.controllers.autoscaling.proposals import Failed
from trireme.kit import metrics
from trireme.kit.clock import Clock
from trireme.runtime.informer import Informers

_PREFIX = "horizontal_pod_autoscaler_controller"


class AutoscalerMetrics:
    """The families of the controller."""

    def __init__(
        self,
        registry: prometheus_client.CollectorRegistry,
        informers: Informers,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._looks = _Timed(registry, "reconciliation", "reconciliations", ["action", "error"])
        self._computations = _Timed(
            registry,
            "metric_computation",
            "metric_computation",
            ["action", "error", "metric_type"],
        )
        self._desired = metrics.gauge(
            registry,
            f"{_PREFIX}_desired_replicas",
            "Replicas that an autoscaler wants",
            ["namespace", "hpa_name"],
        )
        found = informers.of(HorizontalPodAutoscaler)
        metrics.gauge(
            registry, f"{_PREFIX}_num_horizontal_pod_autoscalers", "Autoscalers"
        ).set_function(lambda: len(found))

    def reconciled(
        self,
        before: HorizontalPodAutoscaler,
        after: HorizontalPodAutoscaler,
        error: str,
        seconds: float,
    ) -> None:
        """One look at an autoscaler, by its status before and after."""
        status = after.status
        change = 0
        if status.lastScaleTime != before.status.lastScaleTime:
            change = status.desiredReplicas - (status.currentReplicas or 0)
        self._looks.observe(seconds, _action(change), error)
        meta = after.metadata
        self._desired.labels(meta.namespace, meta.name).set(status.desiredReplicas)

    def computed(self, spec: MetricSpec, change: int, failure: Failed | None, began: float) -> None:
        """One metric was looked at."""
        seconds = self._clock.monotonic() - began
        self._computations.observe(seconds, _action(change), error_of(failure), spec.type)

    def forget(self, namespace: str, name: str) -> None:
        """An autoscaler is gone."""
        self._desired.remove(namespace, name)


class _Timed:
    """A counter and a histogram with the same labels."""

    def __init__(
        self,
        registry: prometheus_client.CollectorRegistry,
        one: str,
        several: str,
        labels: list[str],
    ) -> None:
        self._total = metrics.counter(registry, f"{_PREFIX}_{several}_total", "How often", labels)
        self._seconds = metrics.histogram(
            registry,
            f"{_PREFIX}_{one}_duration_seconds",
            "How long it took",
            metrics.exponential(0.001, 2, 15),
            labels,
        )

    def observe(self, seconds: float, *labels: str) -> None:
        self._total.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)


def error_of(error: BaseException | None) -> str:
    """The label of an error: whether the autoscaler itself is wrong."""
    if error is None:
        return "none"
    wrong = isinstance(error, Failed) and error.reason.startswith("Invalid")
    return "spec" if wrong else "internal"


def _action(change: int) -> str:
    if change == 0:
        return "none"
    return "scale_up" if change > 0 else "scale_down"
