"""The settings of the cluster autoscaler. Pure. Defaults are those of upstream's FAQ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EXPANDERS: Final = ("least-waste", "most-pods", "least-nodes", "random")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Times are seconds.

    ``scan_interval``: between two looks. ``new_pod_delay``: younger pods get no node.
    ``priority_cutoff``: pods of a lower priority get none and block nothing. ``expander`` picks one
    of several groups: least-waste, most-pods, least-nodes or random. ``max_nodes_total``: 0 is no
    limit. ``provision_time``: a machine that has not become a node by then is given up, and its
    group is left alone for ``first_backoff``, doubled each time up to ``max_backoff``.

    ``scale_down``: whether nodes are removed. ``utilization``: a node with less of its CPU and
    memory requested may be unneeded; it goes after ``unneeded_time``, or ``unready_time`` when it
    is not ready. Nothing goes for ``delay_after_add``, ``delay_after_delete`` and
    ``delay_after_failure``. ``parallel`` empty nodes go at a time, ``parallel_drain`` others.
    ``skip_local_storage``, ``skip_system_pods``, ``skip_custom_controllers``: pods that keep their
    node. ``graceful_termination``: the longest that a pod may take to end; ``eviction_time``: how
    long its eviction is tried. ``soft_taints`` nodes at a time get the taint of a candidate.
    """

    scan_interval: float = 10.0
    new_pod_delay: float = 0.0
    priority_cutoff: int = -10
    expander: str = "least-waste"
    max_nodes_total: int = 0
    provision_time: float = 900.0
    first_backoff: float = 300.0
    max_backoff: float = 1800.0
    scale_down: bool = True
    utilization: float = 0.5
    unneeded_time: float = 600.0
    unready_time: float = 1200.0
    delay_after_add: float = 600.0
    delay_after_delete: float = 0.0
    delay_after_failure: float = 180.0
    parallel: int = 10
    parallel_drain: int = 1
    skip_local_storage: bool = True
    skip_system_pods: bool = True
    skip_custom_controllers: bool = True
    graceful_termination: int = 600
    eviction_time: float = 120.0
    soft_taints: int = 10
    status_config_map: str = "cluster-autoscaler-status"
    namespace: str = "kube-system"
