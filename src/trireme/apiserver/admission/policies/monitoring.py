"""Metrics of ValidatingAdmissionPolicies: what they refused, warned of or noted.

In: what follows from a violation. Out: families under upstream's names. Upstream: apiserver
``policy/validating/metrics``, which counts no write that a policy admits.
"""

from __future__ import annotations

from typing import Final

import prometheus_client

from trireme.kit import metrics

_PREFIX: Final = "apiserver_validating_admission_policy_"
_BUCKETS: Final = (0.0000005, 0.001, 0.01, 0.1, 1.0)
_LABELS: Final = ("policy", "policy_binding", "error_type", "enforcement_action")
# Upstream has types of errors besides, that no decision ever has.
_ERROR: Final = "invalid_error"


def observe(
    registry: prometheus_client.CollectorRegistry,
    policy: str,
    binding: str,
    action: str,
    seconds: float,
) -> None:
    """``action``: deny, warn or audit."""
    labels = policy, binding, _ERROR, action
    metrics.counter(registry, f"{_PREFIX}check_total", "Violations, by policy", _LABELS).labels(
        *labels
    ).inc()
    metrics.histogram(
        registry,
        f"{_PREFIX}check_duration_seconds",
        "Seconds that the policies took that were violated",
        _BUCKETS,
        _LABELS,
    ).labels(*labels).observe(seconds)
