"""The settings of the controllers. Pure.

Made by the composition root, passed to each controller in its ``ControllerContext``. Each is a flag
of upstream's, whose name is in ``cluster/commands/_manager_flags``, and defaults are upstream's:
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/. Times
are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trireme.kit.pki import Pair


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How many keys each control loop works on at a time."""

    cronjob: int = 5
    daemonset: int = 2
    deployment: int = 5
    device_taint_eviction: int = 8
    endpoints: int = 5
    endpointslice: int = 5
    endpointslice_mirroring: int = 5
    ephemeral_volume: int = 5
    garbage_collector: int = 20
    horizontal_pod_autoscaler: int = 5
    job: int = 5
    namespace: int = 10
    replicaset: int = 5
    replicationcontroller: int = 5
    resourceclaim: int = 50
    resourcequota: int = 5
    serviceaccount_token: int = 5
    statefulset: int = 5
    ttl_after_finished: int = 5
    validatingadmissionpolicy_status: int = 5


@dataclass(frozen=True, kw_only=True)
class Autoscaling:
    """``sync_period``: how often autoscalers look; ``downscale_stabilization``: how long the
    highest recommendation holds; ``tolerance``: the share of difference that is none;
    ``cpu_initialization`` and ``initial_readiness``: how long a starting pod's use of CPU, and its
    unreadiness, do not count; ``scale_to_zero``: the feature gate HPAScaleToZero, which the API
    server has to have, too."""

    sync_period: float = 15.0
    downscale_stabilization: float = 300.0
    tolerance: float = 0.1
    cpu_initialization: float = 300.0
    initial_readiness: float = 30.0
    scale_to_zero: bool = False


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """``batch``, ``slice_batch``, ``mirroring_batch``: how long a change of pods, or of mirrored
    slices, waits for others. ``max_per_slice``, ``max_mirrored``: endpoints in a slice, and of a
    subset."""

    batch: float = 0.0
    slice_batch: float = 0.0
    max_per_slice: int = 100
    mirroring_batch: float = 0.0
    max_mirrored: int = 1000


@dataclass(frozen=True, kw_only=True)
class NodeIPAM:
    """``cluster_cidrs``: the networks, one of each IP family at most, that nodes get their pod
    networks of; () where somebody else gives them theirs. ``mask_size``: the prefix of such a part,
    0 for the family's own, and that 0 for 24 bits of IPv4 and 64 of IPv6. ``service_cidrs`` are
    left out."""

    cluster_cidrs: tuple[str, ...] = ()
    mask_size: int = 0
    mask_size_ipv4: int = 0
    mask_size_ipv6: int = 0
    service_cidrs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeLifecycle:
    """``monitor_period``: how often nodes are looked at; ``monitor_grace``: how long a node may
    send no heartbeat; ``startup_grace``: the same for one that never sent any. ``eviction_rate``,
    ``secondary_rate``: nodes per second that get a NoExecute taint, in a healthy zone and in one
    that is not; the second is 0 for zones of no more than ``large_zone`` nodes. ``unhealthy_share``
    of a zone's nodes make it unhealthy."""

    monitor_period: float = 5.0
    monitor_grace: float = 50.0
    startup_grace: float = 60.0
    eviction_rate: float = 0.1
    secondary_rate: float = 0.01
    large_zone: int = 50
    unhealthy_share: float = 0.55


@dataclass(frozen=True, kw_only=True)
class Signing:
    """The authority of each built-in signer, None where nobody signs; ``duration``: the longest
    life of a certificate."""

    kube_apiserver_client: Pair | None = None
    kubelet_client: Pair | None = None
    kubelet_serving: Pair | None = None
    legacy_unknown: Pair | None = None
    duration: float = 365 * 24 * 3600.0

    @staticmethod
    def by(authority: Pair) -> Signing:
        """One authority for all signers."""
        return Signing(
            kube_apiserver_client=authority,
            kubelet_client=authority,
            kubelet_serving=authority,
            legacy_unknown=authority,
        )


@dataclass(frozen=True, kw_only=True)
class Storage:
    """``binder_sync``: how often claims that wait are looked at; ``dynamic_provisioning``: whether
    provisioners are asked for volumes; ``no_force_detach``: a volume stays attached as long as its
    node does not say that it is unmounted, not for 6 min. ``recycler_minimum``,
    ``recycler_increment``: seconds that a pod has to empty an NFS volume, at least, and for each
    GiB."""

    binder_sync: float = 15.0
    dynamic_provisioning: bool = True
    no_force_detach: bool = False
    recycler_minimum: int = 300
    recycler_increment: int = 30


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``root_ca``: PEM of the authority that pods trust; "" publishes none.
    ``service_account_key``: PEM of the key that signs tokens in Secrets, b"" where none are made;
    ``legacy_token_period``: how long such a token is unused before it is invalid, and invalid
    before it is deleted.
    ``garbage_collection``: whether dependents of deleted objects are deleted. ``terminated_pods``:
    so many finished pods are kept. ``namespace_delay``: how long after its deletion a namespace is
    emptied; several API servers need it, because one of them may not know of the deletion yet and
    admit an object. ``namespace_sync``: how often namespaces that are being deleted are looked at
    in any case. ``quota_resync``: how often all usage of quotas is counted anew.
    ``feature_gates``: the names of those that are on, of the gates that are off by default."""

    workers: Workers = field(default_factory=Workers)
    autoscaling: Autoscaling = field(default_factory=Autoscaling)
    endpoints: Endpoints = field(default_factory=Endpoints)
    node_ipam: NodeIPAM = field(default_factory=NodeIPAM)
    node_lifecycle: NodeLifecycle = field(default_factory=NodeLifecycle)
    signing: Signing = field(default_factory=Signing)
    storage: Storage = field(default_factory=Storage)
    root_ca: str = ""
    service_account_key: bytes = b""
    legacy_token_period: float = 365 * 24 * 3600.0
    garbage_collection: bool = True
    terminated_pods: int = 12500
    namespace_delay: float = 5.0
    namespace_sync: float = 300.0
    quota_resync: float = 300.0
    feature_gates: frozenset[str] = frozenset()
