"""Which plugins are on, in which order and with what weight: the default profile.

The order of filters decides which reason a node gives, so it is upstream's. Upstream:
pkg/scheduler/apis/config/v1/default_plugins.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from trireme.scheduler.framework import Filter, Plugin, Score
from trireme.scheduler.plugins import (
    balanced_allocation,
    dynamic_resources,
    inter_pod_affinity,
    node_affinity,
    node_name,
    node_ports,
    node_resources_fit,
    node_unschedulable,
    node_volume_limits,
    pod_topology_spread,
    taint_toleration,
    volume_binding,
    volume_restrictions,
    volume_zone,
)

SCHEDULER_NAME = "default-scheduler"


@dataclass(frozen=True)
class Profile:
    """Plugins in order, with the weights of those that score."""

    name: str
    plugins: tuple[tuple[Plugin, int], ...]

    @cached_property
    def local_filters(self) -> tuple[Filter, ...]:
        return tuple(p.filter for p, _ in self.plugins if p.filter is not None and p.local_filter)

    @cached_property
    def cluster_wide_filters(self) -> tuple[Filter, ...]:
        """Those for which other nodes matter."""
        return tuple(
            p.filter for p, _ in self.plugins if p.filter is not None and not p.local_filter
        )

    @cached_property
    def local_scores(self) -> tuple[tuple[Score, int], ...]:
        return tuple(
            (p.score, w) for p, w in self.plugins if p.score is not None and w and p.local_score
        )

    @cached_property
    def cluster_wide_scores(self) -> tuple[tuple[Score, int], ...]:
        """Those for which other nodes matter."""
        return tuple(
            (p.score, w) for p, w in self.plugins if p.score is not None and w and not p.local_score
        )


DEFAULT = Profile(
    SCHEDULER_NAME,
    (
        (node_unschedulable.PLUGIN, 0),
        (node_name.PLUGIN, 0),
        (taint_toleration.PLUGIN, 3),
        (node_affinity.PLUGIN, 2),
        (node_ports.PLUGIN, 0),
        (node_resources_fit.PLUGIN, 1),
        (volume_restrictions.PLUGIN, 0),
        (node_volume_limits.PLUGIN, 0),
        (volume_binding.PLUGIN, 0),
        (volume_zone.PLUGIN, 0),
        (pod_topology_spread.PLUGIN, 2),
        (inter_pod_affinity.PLUGIN, 2),
        (dynamic_resources.PLUGIN, 0),
        (balanced_allocation.PLUGIN, 1),
    ),
)
