"""The flags of upstream's kube-controller-manager v1.36, in its groups.

In: nothing. Out: ``GROUPS``, and ``Options`` with the defaults, for ``controllers``. Upstream:
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trireme.cluster import component_flags as component
from trireme.cluster import flag_kinds as kinds
from trireme.cluster.component_flags import Component, Manager
from trireme.cluster.flags import Flag, Groups, Refused
from trireme.controllers.settings import Settings


@dataclass(frozen=True, kw_only=True)
class SigningFiles:
    """Certificates and keys (PEM) that sign certificates: for all signers, or for each."""

    certificate: bytes = b""
    key: bytes = b""
    kube_apiserver_client_certificate: bytes = b""
    kube_apiserver_client_key: bytes = b""
    kubelet_client_certificate: bytes = b""
    kubelet_client_key: bytes = b""
    kubelet_serving_certificate: bytes = b""
    kubelet_serving_key: bytes = b""
    legacy_unknown_certificate: bytes = b""
    legacy_unknown_key: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Options(Manager):
    """``shutdown_timeout``: how long controllers may finish what they do."""

    component: Component = field(
        default_factory=lambda: component.of("kube-controller-manager", 10257)
    )
    shutdown_timeout: float = 10.0
    use_service_account_credentials: bool = True
    allocate_node_cidrs: bool = False
    root_ca: bytes = b""
    signing: SigningFiles = field(default_factory=SigningFiles)
    settings: Settings = field(default_factory=Settings)


_CLOUD: Final = "the cloud's controllers run apart, in a component of their own"
_IN_TREE: Final = "there are no volume plugins in the tree: CSI drivers provision"
_RECYCLE: Final = "only NFS volumes are emptied, by a pod that is always the same"
_LEVEL: Final = "attachments are read anew at every look, there is no other state to compare"
_MASK: Final = kinds.count(1, 128)


def _syncs(name: str, to: str, what: str, most: int = 2**31 - 1) -> Flag:
    return Flag(
        name, f"settings.workers.{to}", kinds.count(1, most), f"{what} worked on at a time."
    )


def _signer(name: str, to: str, whose: str) -> tuple[Flag, Flag]:
    return (
        Flag(
            f"cluster-signing-{name}cert-file",
            f"signing.{to}certificate",
            kinds.CERTIFICATES,
            f"The authority that signs certificates {whose}.",
        ),
        Flag(
            f"cluster-signing-{name}key-file",
            f"signing.{to}key",
            kinds.PRIVATE_KEY,
            "The key of that authority.",
        ),
    )


def _duration(name: str, to: str, help: str, least: float = 0.0) -> Flag:
    return Flag(name, f"settings.{to}", kinds.duration(least), help)


GROUPS: Final[Groups] = {
    "Debugging": component.DEBUGGING,
    "Leader-migration": (
        Refused("enable-leader-migration", _CLOUD, ("false",)),
        Refused("leader-migration-config", _CLOUD),
    ),
    "Generic": (
        Flag(
            "allocate-node-cidrs",
            "allocate_node_cidrs",
            kinds.BOOL,
            "Nodes get their pod networks here.",
        ),
        Refused("cidr-allocator-type", "networks are given out of a range", ("RangeAllocator",)),
        Refused("cloud-config", _CLOUD),
        Refused("cloud-provider", _CLOUD, ("external",)),
        Flag(
            "cluster-cidr",
            "settings.node_ipam.cluster_cidrs",
            kinds.CIDRS,
            "All pods; with --allocate-node-cidrs. One for each IP family.",
        ),
        Refused("cluster-name", _CLOUD, ("kubernetes",)),
        Refused("configure-cloud-routes", _CLOUD, ("false",)),
        Flag(
            "controller-shutdown-timeout",
            "shutdown_timeout",
            kinds.duration(),
            "How long controllers may finish what they do when they are to end.",
        ),
        *component.VERSIONS,
        Refused("external-cloud-volume-plugin", _IN_TREE),
        *component.MANAGER,
        _duration(
            "node-monitor-period", "node_lifecycle.monitor_period", "How often nodes are looked at."
        ),
        Refused("route-reconciliation-period", _CLOUD),
    ),
    "Service-lb-controller": (Refused("concurrent-service-syncs", _CLOUD),),
    "Secure serving": component.SERVING,
    "Authentication": component.AUTHENTICATION,
    "Authorization": component.AUTHORIZATION,
    "Persistentvolume-attach-detach-controller": (
        Refused("attach-detach-reconcile-sync-period", _LEVEL),
        Refused("disable-attach-detach-reconcile-sync", _LEVEL, ("false",)),
        Flag(
            "disable-force-detach-on-timeout",
            "settings.storage.no_force_detach",
            kinds.BOOL,
            "Wait for ever for a node that does not say that it has unmounted a volume.",
        ),
    ),
    "Certificatesigningrequest-signing-controller": (
        *_signer("", "", "for all signers"),
        *_signer("kube-apiserver-client-", "kube_apiserver_client_", "of clients"),
        *_signer("kubelet-client-", "kubelet_client_", "of kubelets as clients"),
        *_signer("kubelet-serving-", "kubelet_serving_", "of kubelets as servers"),
        *_signer("legacy-unknown-", "legacy_unknown_", "for kubernetes.io/legacy-unknown"),
        _duration(
            "cluster-signing-duration",
            "signing.duration",
            "The longest life of a certificate.",
            1.0,
        ),
    ),
    "Deployment-controller": (_syncs("concurrent-deployment-syncs", "deployment", "Deployments"),),
    "Device-taint-eviction-controller": (
        _syncs("concurrent-device-taint-eviction-syncs", "device_taint_eviction", "Evictions"),
    ),
    "Resourceclaim-controller": (
        _syncs("concurrent-resourceclaim-syncs", "resourceclaim", "Resource claims"),
    ),
    "Statefulset-controller": (
        _syncs("concurrent-statefulset-syncs", "statefulset", "StatefulSets"),
    ),
    "Daemonset-controller": (_syncs("concurrent-daemonset-syncs", "daemonset", "DaemonSets"),),
    "Endpoints-controller": (
        _syncs("concurrent-endpoint-syncs", "endpoints", "Services"),
        _duration(
            "endpoint-updates-batch-period",
            "endpoints.batch",
            "How long a change of a pod waits for others.",
        ),
    ),
    "Endpointslice-controller": (
        _syncs("concurrent-service-endpoint-syncs", "endpointslice", "Services", 50),
        _duration(
            "endpointslice-updates-batch-period",
            "endpoints.slice_batch",
            "How long a change of a pod waits for others.",
        ),
        Flag(
            "max-endpoints-per-slice",
            "settings.endpoints.max_per_slice",
            kinds.count(1, 1000),
            "Endpoints of one EndpointSlice at most.",
        ),
    ),
    "Endpointslice-mirroring-controller": (
        _syncs(
            "mirroring-concurrent-service-endpoint-syncs",
            "endpointslice_mirroring",
            "Endpoints",
            50,
        ),
        _duration(
            "mirroring-endpointslice-updates-batch-period",
            "endpoints.mirroring_batch",
            "How long a change of Endpoints waits for others.",
        ),
        Flag(
            "mirroring-max-endpoints-per-subset",
            "settings.endpoints.max_mirrored",
            kinds.count(1, 1000),
            "Addresses of one subset that are mirrored at most.",
        ),
    ),
    "Ephemeral-volume-controller": (
        _syncs("concurrent-ephemeralvolume-syncs", "ephemeral_volume", "Pods"),
    ),
    "Garbage-collector-controller": (
        _syncs("concurrent-gc-syncs", "garbage_collector", "Objects"),
        Flag(
            "enable-garbage-collector",
            "settings.garbage_collection",
            kinds.BOOL,
            "Delete the dependents of deleted objects.",
        ),
    ),
    "Horizontal-pod-autoscaler-controller": (
        _syncs(
            "concurrent-horizontal-pod-autoscaler-syncs",
            "horizontal_pod_autoscaler",
            "Autoscalers",
        ),
        _duration(
            "horizontal-pod-autoscaler-cpu-initialization-period",
            "autoscaling.cpu_initialization",
            "How long after its start a pod's use of CPU may not count.",
        ),
        _duration(
            "horizontal-pod-autoscaler-downscale-stabilization",
            "autoscaling.downscale_stabilization",
            "How long the highest recommendation holds.",
        ),
        _duration(
            "horizontal-pod-autoscaler-initial-readiness-delay",
            "autoscaling.initial_readiness",
            "How long after its start a pod's readiness is its first.",
        ),
        _duration(
            "horizontal-pod-autoscaler-sync-period",
            "autoscaling.sync_period",
            "How often autoscalers look.",
            0.001,
        ),
        Flag(
            "horizontal-pod-autoscaler-tolerance",
            "settings.autoscaling.tolerance",
            kinds.NUMBER,
            "The share of difference to the target that is none.",
        ),
    ),
    "Job-controller": (_syncs("concurrent-job-syncs", "job", "Jobs"),),
    "Cronjob-controller": (_syncs("concurrent-cron-job-syncs", "cronjob", "CronJobs"),),
    "Legacy-serviceaccount-token-cleaner-controller": (
        _duration(
            "legacy-service-account-token-clean-up-period",
            "legacy_token_period",
            "How long a token in a Secret is unused before it is invalid, and then deleted.",
        ),
    ),
    "Namespace-controller": (
        _syncs("concurrent-namespace-syncs", "namespace", "Namespaces"),
        # Not upstream's, which always waits 5 s.
        _duration(
            "namespace-deletion-grace-period",
            "namespace_delay",
            "How long an API server may take to see that a namespace is deleted, and admit no more "
            "to it; 0s where there is one API server.",
        ),
        _duration(
            "namespace-sync-period",
            "namespace_sync",
            "How often namespaces that are being deleted are looked at in any case.",
            0.001,
        ),
    ),
    "Node-ipam-controller": (
        Flag(
            "node-cidr-mask-size",
            "settings.node_ipam.mask_size",
            _MASK,
            "Bits of the prefix of a node's pod network; without it 24, or 64 of IPv6.",
        ),
        Flag(
            "node-cidr-mask-size-ipv4",
            "settings.node_ipam.mask_size_ipv4",
            _MASK,
            "The same, for IPv4.",
        ),
        Flag(
            "node-cidr-mask-size-ipv6",
            "settings.node_ipam.mask_size_ipv6",
            _MASK,
            "The same, for IPv6.",
        ),
        Flag(
            "service-cluster-ip-range",
            "settings.node_ipam.service_cidrs",
            kinds.CIDRS,
            "Services: no node gets these addresses.",
        ),
    ),
    "Node-lifecycle-controller": (
        Flag(
            "large-cluster-size-threshold",
            "settings.node_lifecycle.large_zone",
            kinds.count(),
            "Nodes of an unhealthy zone up to which no pods are evicted from it.",
        ),
        Flag(
            "node-eviction-rate",
            "settings.node_lifecycle.eviction_rate",
            kinds.NUMBER,
            "Nodes per second of which pods are evicted, in a healthy zone.",
        ),
        _duration(
            "node-monitor-grace-period",
            "node_lifecycle.monitor_grace",
            "How long a node may send no heartbeat.",
        ),
        _duration(
            "node-startup-grace-period",
            "node_lifecycle.startup_grace",
            "The same for a node that never sent any.",
        ),
        Flag(
            "secondary-node-eviction-rate",
            "settings.node_lifecycle.secondary_rate",
            kinds.NUMBER,
            "Nodes per second of which pods are evicted, in a zone that is not healthy.",
        ),
        Flag(
            "unhealthy-zone-threshold",
            "settings.node_lifecycle.unhealthy_share",
            kinds.NUMBER,
            "The share of a zone's nodes that are not ready from which the zone is not healthy.",
        ),
    ),
    "Persistentvolume-binder-controller": (
        Flag(
            "enable-dynamic-provisioning",
            "settings.storage.dynamic_provisioning",
            kinds.BOOL,
            "Ask provisioners for volumes.",
        ),
        Refused("enable-hostpath-provisioner", _IN_TREE, ("false",)),
        Refused("flex-volume-plugin-dir", _IN_TREE),
        Flag(
            "pv-recycler-increment-timeout-nfs",
            "settings.storage.recycler_increment",
            kinds.count(0, 2**31 - 1),
            "Seconds for each GiB of an NFS volume that a pod has to empty it.",
        ),
        Refused("pv-recycler-minimum-timeout-hostpath", _RECYCLE),
        Flag(
            "pv-recycler-minimum-timeout-nfs",
            "settings.storage.recycler_minimum",
            kinds.count(1, 2**31 - 1),
            "The least number of seconds that a pod has to empty an NFS volume.",
        ),
        Refused("pv-recycler-pod-template-filepath-hostpath", _RECYCLE),
        Refused("pv-recycler-pod-template-filepath-nfs", _RECYCLE),
        Refused("pv-recycler-timeout-increment-hostpath", _RECYCLE),
        _duration(
            "pvclaimbinder-sync-period",
            "storage.binder_sync",
            "How often claims that wait are looked at.",
            0.001,
        ),
    ),
    "Pod-garbage-collector-controller": (
        Flag(
            "terminated-pod-gc-threshold",
            "settings.terminated_pods",
            kinds.count(-(2**31)),
            "Finished pods that are kept; 0 and less: all.",
        ),
    ),
    "Replicaset-controller": (_syncs("concurrent-replicaset-syncs", "replicaset", "ReplicaSets"),),
    "Replicationcontroller-controller": (
        _syncs("concurrent-rc-syncs", "replicationcontroller", "ReplicationControllers"),
    ),
    "Resourcequota-controller": (
        _syncs("concurrent-resource-quota-syncs", "resourcequota", "Quotas"),
        _duration(
            "resource-quota-sync-period",
            "quota_resync",
            "How often all usage is counted anew.",
            0.001,
        ),
    ),
    "Serviceaccount-controller": (
        _syncs("concurrent-serviceaccount-token-syncs", "serviceaccount_token", "Secrets"),
        Flag(
            "root-ca-file",
            "root_ca",
            kinds.CERTIFICATES,
            "The authority that pods trust; without it, the kubeconfig's.",
        ),
        Flag(
            "service-account-private-key-file",
            "settings.service_account_key",
            kinds.PRIVATE_KEY,
            "The key that signs tokens in Secrets; without it, none are made.",
        ),
    ),
    "Ttl-after-finished-controller": (
        _syncs("concurrent-ttl-after-finished-syncs", "ttl_after_finished", "Jobs"),
    ),
    "Validatingadmissionpolicy-status-controller": (
        _syncs(
            "concurrent-validating-admission-policy-status-syncs",
            "validatingadmissionpolicy_status",
            "Policies",
        ),
    ),
    "Metrics": component.METRICS,
    "Logs": component.LOGS,
    "Misc": (component.KUBECONFIG, component.MASTER),
}
