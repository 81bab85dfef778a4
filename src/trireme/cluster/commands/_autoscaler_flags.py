"""The flags of upstream's cluster-autoscaler, and those that all components have.

In: nothing. Out: ``GROUPS``, and ``Options`` with the defaults, for ``autoscaler``. Upstream:
https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trireme.cloud.autoscaler.settings import EXPANDERS, Settings
from trireme.cluster import component_flags as component
from trireme.cluster import flag_kinds as kinds
from trireme.cluster.component_flags import CloudManager, Component
from trireme.cluster.flags import Flag, Groups, Kind


@dataclass(frozen=True, kw_only=True)
class Options(CloudManager):
    """All flags."""

    component: Component = field(default_factory=lambda: component.of("cluster-autoscaler", 8085))
    settings: Settings = field(default_factory=Settings)


_PERIOD: Final = kinds.duration(0.001)
_DELAY: Final = kinds.duration()
_COUNT: Final = kinds.count()
_AT_ONCE: Final = kinds.count(1, 1000)
_PRIORITY: Final = kinds.count(-(2**31))
_EXPANDER: Final = kinds.one_of({name: name for name in EXPANDERS})
# Upstream's flag, the field of the settings that it sets, and its values.
_ROWS: Final[tuple[tuple[str, str, Kind, str], ...]] = (
    ("scan-interval", "scan_interval", _PERIOD, "Between two looks."),
    ("new-pod-scale-up-delay", "new_pod_delay", _DELAY, "Younger pods get no node."),
    ("expendable-pods-priority-cutoff", "priority_cutoff", _PRIORITY, "Lower pods get no node."),
    ("expander", "expander", _EXPANDER, f"Which group grows: {', '.join(EXPANDERS)}."),
    ("max-nodes-total", "max_nodes_total", _COUNT, "Nodes at most; 0: no limit."),
    ("max-node-provision-time", "provision_time", _PERIOD, "How long a node may take to come."),
    (
        "initial-node-group-backoff-duration",
        "first_backoff",
        _PERIOD,
        "How long a group is left alone of which no node came.",
    ),
    ("max-node-group-backoff-duration", "max_backoff", _PERIOD, "The most that this doubles to."),
    ("scale-down-enabled", "scale_down", kinds.BOOL, "Remove nodes."),
    ("scale-down-utilization-threshold", "utilization", kinds.SHARE, "A node with less may go."),
    ("scale-down-unneeded-time", "unneeded_time", _PERIOD, "After this an unneeded node goes."),
    ("scale-down-unready-time", "unready_time", _PERIOD, "The same for one that is not ready."),
    ("scale-down-delay-after-add", "delay_after_add", _DELAY, "No node goes for so long."),
    ("scale-down-delay-after-delete", "delay_after_delete", _DELAY, "No node goes for so long."),
    ("scale-down-delay-after-failure", "delay_after_failure", _DELAY, "No node goes for so long."),
    ("max-scale-down-parallelism", "parallel", _AT_ONCE, "Empty nodes that go at a time."),
    ("max-drain-parallelism", "parallel_drain", _AT_ONCE, "Other nodes that go at a time."),
    ("skip-nodes-with-local-storage", "skip_local_storage", kinds.BOOL, "Such pods keep a node."),
    ("skip-nodes-with-system-pods", "skip_system_pods", kinds.BOOL, "Such pods keep their node."),
    (
        "skip-nodes-with-custom-controller-pods",
        "skip_custom_controllers",
        kinds.BOOL,
        "A pod of a custom controller keeps its node.",
    ),
    ("max-graceful-termination-sec", "graceful_termination", _COUNT, "Seconds a pod has to end."),
    ("max-pod-eviction-time", "eviction_time", _PERIOD, "How long an eviction is tried."),
    ("max-bulk-soft-taint-count", "soft_taints", _COUNT, "Taints of candidates at a time."),
    ("status-config-map-name", "status_config_map", kinds.NAME, "Where its status is."),
)

GROUPS: Final[Groups] = {
    "Autoscaler": [Flag(name, f"settings.{to}", kind, help) for name, to, kind, help in _ROWS],
    "Generic": (*component.CLOUD, component.KUBECONFIG, component.MASTER),
    "Client": component.rate("kube-client"),
    "Leader election": component.ELECTION,
    "Secure serving": component.SERVING,
    "Authentication": component.AUTHENTICATION,
    "Authorization": component.AUTHORIZATION,
    "Metrics": component.METRICS,
    "Logs": component.LOGS,
}
