"""The settings of the controllers. Pure.

Made by the composition root, passed to each controller in its ``ControllerContext``. Defaults are
upstream's:
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/.
"""

from __future__ import annotations

from dataclasses import dataclass

from trireme.kit.pki import Pair


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Times are seconds.

    ``root_ca``: PEM of the authority that pods trust; "" publishes none. ``terminated_pods``: so
    many finished pods are kept. ``node_grace``: how long a node may send no heartbeat;
    ``node_startup``: the same for one that never sent any. ``eviction_rate``, ``secondary_rate``:
    nodes per second that get a NoExecute taint, in a healthy zone and in one that is not; the
    second is 0 for zones of no more than ``large_zone`` nodes. ``unhealthy_share`` of a zone's
    nodes make it unhealthy. ``namespace_delay``: how long after its deletion a namespace is
    emptied; several API servers need it, because one of them may not know of the deletion yet and
    admit an object. ``quota_resync``: how often all usage of quotas is counted anew.
    ``hpa_sync``: how often autoscalers look; ``hpa_window``: how long the highest recommendation
    holds; ``hpa_tolerance``: the share of difference that is none; ``hpa_cpu_initialization`` and
    ``hpa_initial_readiness``: how long a starting pod's use of CPU, and its unreadiness, do not
    count; ``hpa_scale_to_zero``: the feature gate HPAScaleToZero.
    ``cluster_signing`` signs CertificateSigningRequests, None where nobody does;
    ``cluster_signing_duration``: the longest life of such a certificate.
    ``service_account_key``: PEM of the key that signs tokens in Secrets, b"" where none are made;
    ``legacy_token_period``: how long such a token is unused before it is invalid, and invalid
    before it is deleted.
    ``cluster_cidrs``: the networks, one of each IP family at most, that nodes get their pod
    networks of; () where somebody else gives them theirs. ``node_cidr_mask_size``: the prefix of
    such a part, None for 24 bits of IPv4 and 64 of IPv6. ``service_cidrs`` are left out.
    ``feature_gates``: the names of those that are on, of the gates that are off by default.
    """

    root_ca: str = ""
    terminated_pods: int = 12500
    namespace_delay: float = 5.0
    quota_resync: float = 300.0
    hpa_sync: float = 15.0
    hpa_window: float = 300.0
    hpa_tolerance: float = 0.1
    hpa_cpu_initialization: float = 300.0
    hpa_initial_readiness: float = 30.0
    hpa_scale_to_zero: bool = False
    cluster_signing: Pair | None = None
    cluster_signing_duration: float = 365 * 24 * 3600.0
    service_account_key: bytes = b""
    legacy_token_period: float = 365 * 24 * 3600.0
    cluster_cidrs: tuple[str, ...] = ()
    node_cidr_mask_size: int | None = None
    service_cidrs: tuple[str, ...] = ()
    node_grace: float = 50.0
    node_startup: float = 60.0
    eviction_rate: float = 0.1
    secondary_rate: float = 0.01
    large_zone: int = 50
    unhealthy_share: float = 0.55
    feature_gates: frozenset[str] = frozenset()
