"""The flags of upstream's cloud-controller-manager v1.36, in its groups.

In: nothing. Out: ``GROUPS``, and ``Options`` with the defaults, for ``cloud``. Upstream:
https://kubernetes.io/docs/reference/command-line-tools-reference/cloud-controller-manager/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trireme.cloud.settings import Settings
from trireme.cluster import component_flags as component
from trireme.cluster import flag_kinds as kinds
from trireme.cluster.component_flags import CloudManager, Component
from trireme.cluster.flags import Flag, Groups, Refused


@dataclass(frozen=True, kw_only=True)
class Options(CloudManager):
    """All flags."""

    component: Component = field(
        default_factory=lambda: component.of("cloud-controller-manager", 10258)
    )
    allocate_node_cidrs: bool = False
    configure_cloud_routes: bool = True
    settings: Settings = field(default_factory=Settings)


_MIGRATION: Final = "these controllers were never in another manager here"
_WEBHOOKS: Final = "providers have no webhooks"
_PERIOD: Final = kinds.duration(0.001)
_SYNCS: Final = kinds.count(1, 1000)

GROUPS: Final[Groups] = {
    "Debugging": component.DEBUGGING,
    "Leader-migration": (
        Refused("enable-leader-migration", _MIGRATION, ("false",)),
        Refused("leader-migration-config", _MIGRATION),
    ),
    "Generic": (
        Flag(
            "allocate-node-cidrs",
            "allocate_node_cidrs",
            kinds.BOOL,
            "Nodes have pod networks: make routes.",
        ),
        Refused("cidr-allocator-type", "nodes get no networks here", ("RangeAllocator",)),
        *component.CLOUD,
        Flag(
            "cluster-cidr",
            "settings.cluster_cidrs",
            kinds.CIDRS,
            "All pods; with --allocate-node-cidrs. One for each IP family.",
        ),
        Flag(
            "cluster-name",
            "settings.cluster_name",
            kinds.NAME,
            "What the provider calls the cluster.",
        ),
        Flag(
            "configure-cloud-routes",
            "configure_cloud_routes",
            kinds.BOOL,
            "Make routes to the nodes' pod networks.",
        ),
        Refused("external-cloud-volume-plugin", "CSI drivers provision volumes"),
        *component.MANAGER,
        Flag(
            "node-monitor-period",
            "settings.node_period",
            _PERIOD,
            "How often machines of unready nodes are looked for.",
        ),
        Flag(
            "route-reconciliation-period",
            "settings.route_period",
            _PERIOD,
            "How often routes are compared.",
        ),
        # Deprecated, and not in upstream's --help.
        Refused("allow-untagged-cloud", "providers are not asked for a cluster's ID", ("true",)),
        Refused("node-sync-period", "it does nothing in upstream, either"),
    ),
    "Cloud-node-controller": (
        Refused("concurrent-node-status-updates", "one node follows the other", ("0",)),
        Flag("concurrent-node-syncs", "settings.concurrent_node_syncs", _SYNCS, "Nodes at a time."),
    ),
    "Service-lb-controller": (
        Flag(
            "concurrent-service-syncs",
            "settings.concurrent_service_syncs",
            _SYNCS,
            "Services at a time.",
        ),
    ),
    "Webhook": (Refused("webhooks", _WEBHOOKS),),
    "Webhook serving": [
        Refused(f"webhook-{row.name}", _WEBHOOKS)
        for row in component.SERVING
        if not row.name.startswith(("permit-", "http2-"))
    ],
    "Secure serving": component.SERVING,
    "Authentication": component.AUTHENTICATION,
    "Authorization": component.AUTHORIZATION,
    "Misc": (
        component.KUBECONFIG,
        component.MASTER,
        Flag(
            "node-status-update-frequency",
            "settings.node_status_period",
            _PERIOD,
            "How often nodes' addresses are compared.",
        ),
    ),
    "Global": component.LOGS,
}
