"""The flags of upstream's kube-scheduler v1.36, in its groups.

In: nothing. Out: ``GROUPS``, and ``Options`` with the defaults, for ``scheduler``. Upstream:
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-scheduler/.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from trireme.cluster import component_flags as component
from trireme.cluster import flag_kinds as kinds
from trireme.cluster.component_flags import Component
from trireme.cluster.flags import Flag, Groups, Refused
from trireme.runtime.serving.config import DelegatedAuth


@dataclass(frozen=True, kw_only=True)
class Options:
    """``longest_unschedulable``: seconds."""

    component: Component = field(
        default_factory=lambda: replace(
            component.of("kube-scheduler", 10259), auth=DelegatedAuth(tolerate_lookup_failure=True)
        )
    )
    longest_unschedulable: float = 300.0


_PROFILE: Final = "there is the default profile only"

GROUPS: Final[Groups] = {
    "Misc": (
        Refused("config", _PROFILE),
        component.MASTER,
        Refused("write-config-to", _PROFILE),
    ),
    "Secure serving": component.SERVING,
    "Authentication": component.AUTHENTICATION,
    "Authorization": component.AUTHORIZATION,
    "Deprecated": (
        *component.DEBUGGING,
        *component.CLIENT,
        component.KUBECONFIG,
        Flag(
            "pod-max-in-unschedulable-pods-duration",
            "longest_unschedulable",
            kinds.duration(1.0),
            "After this a pod that did not fit is tried again in any case.",
        ),
    ),
    "Leader election": component.ELECTION,
    "Feature gate": (*component.VERSIONS, component.GATES),
    "Metrics": component.METRICS,
    "Logs": component.LOGS,
}
