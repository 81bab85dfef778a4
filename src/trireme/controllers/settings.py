"""What a cluster decides for its controllers. Pure.

Made by the composition root, handed to each controller with its ``ControllerContext``. Defaults are
upstream's:
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Times are seconds.

    ``root_ca``: PEM of the authority that pods trust; "" publishes none. ``terminated_pods``: so
    many finished pods are kept. ``node_grace``: how long a node may be silent; ``node_startup``:
    the same for one that never spoke. ``eviction_rate``, ``secondary_rate``: nodes per second
    whose pods are moved, in a healthy zone and in one that is not; the second is 0 for zones of no
    more than ``large_zone`` nodes. ``unhealthy_share`` of a zone's nodes make it unhealthy.
    ``namespace_delay``: how long after its deletion a namespace is emptied; several API servers
    need it, because one of them may not know of the deletion yet and let an object in.
    """

    root_ca: str = ""
    terminated_pods: int = 12500
    namespace_delay: float = 5.0
    node_grace: float = 50.0
    node_startup: float = 60.0
    eviction_rate: float = 0.1
    secondary_rate: float = 0.01
    large_zone: int = 50
    unhealthy_share: float = 0.55
