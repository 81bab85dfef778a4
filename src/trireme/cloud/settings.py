"""The settings of the cloud's controllers. Pure.

Defaults are upstream's: staging/src/k8s.io/cloud-provider/options;
https://kubernetes.io/docs/reference/command-line-tools-reference/cloud-controller-manager/.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Times are seconds. ``cluster_name`` is passed to the provider. ``cluster_cidrs``: the
    networks of pods; without one no routes are made. ``route_period``: how often routes are
    compared. ``node_period``: how often nodes that are not ready are looked for;
    ``node_status_period``: how often addresses are."""

    cluster_name: str = "kubernetes"
    cluster_cidrs: tuple[str, ...] = ()
    route_period: float = 10.0
    node_period: float = 5.0
    node_status_period: float = 300.0
    concurrent_service_syncs: int = 1
    concurrent_node_syncs: int = 1
