"""Metrics of Pod Security: what was evaluated, exempt, or could not be evaluated.

In: the outcome for a write. Out: families under upstream's names. Upstream:
pod-security-admission ``metrics``.
"""

from __future__ import annotations

from typing import Final

import prometheus_client

from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.contract import Attributes
from trireme.apiserver.admission.pod_security.levels import LATEST, PRIVILEGED, LevelVersion
from trireme.apiserver.config import VERSION
from trireme.kit import metrics
from trireme.kit.metrics import Counts

_WRITE: Final = ("request_operation", "resource", "subresource")
# This server's minor version.
_OWN: Final = int(VERSION.split(".")[1])


class PodSecurityMetrics:
    """What the plugin of one API server counts."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._evaluations = Counts(
            "pod_security_evaluations_total",
            "Evaluations of a policy",
            ("decision", "policy_level", "policy_version", "mode", *_WRITE),
        )
        self._exemptions = Counts("pod_security_exemptions_total", "Exempt writes", _WRITE)
        self._errors = Counts(
            "pod_security_errors_total",
            "What kept a policy from being evaluated",
            ("fatal", *_WRITE),
        )
        metrics.expose(registry, self._evaluations, self._exemptions, self._errors)

    def privileged(self, attributes: Attributes) -> None:
        """The namespace of a pod refuses nothing."""
        self._evaluations.add("allow", PRIVILEGED, "latest", "enforce", *_labels(attributes))

    def evaluated(
        self, attributes: Attributes, decision: str, policy: LevelVersion, mode: str
    ) -> None:
        """``decision``: allow or deny."""
        if policy.version == LATEST or policy.level == PRIVILEGED:
            version = "latest"
        else:
            # Others' choice: what does not exist is one label.
            version = f"v1.{policy.version}" if policy.version <= _OWN else "future"
        labels = _labels(attributes)
        self._evaluations.add(decision, policy.level, version, mode, *labels)

    def exempt(self, attributes: Attributes) -> None:
        self._exemptions.add(*_labels(attributes))

    def failed(self, attributes: Attributes, *, fatal: bool) -> None:
        self._errors.add("true" if fatal else "false", *_labels(attributes))


def _labels(attributes: Attributes) -> tuple[str, str, str]:
    kind = attributes.resource.type
    resource = "pod" if kind is Pod else "namespace" if kind is Namespace else "controller"
    return attributes.operation.lower(), resource, attributes.subresource
