"""/configz of the controller managers: upstream's configuration kinds, of the flags.

In: the settings of a command, the texts of its flags. Out: the document, with the fields that a
flag here sets. Upstream: k8s.io/kube-controller-manager/config and k8s.io/cloud-provider/config.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trireme.cluster import flags
from trireme.cluster.flags import Flag, Groups
from trireme.machinery import time

_CLIENT, _ELECTION = "Generic.ClientConnection", "Generic.LeaderElection"
_SIGNING, _IPAM, _HPA = "CSRSigningController", "NodeIPAMController", "HPAController"
_AUTOSCALER = "horizontal-pod-autoscaler"
_CLOUD = "KubeCloudShared"
_SLICES, _MIRRORING = "EndpointSliceController", "EndpointSliceMirroringController.Mirroring"

FIELDS: Final[Mapping[str, str]] = {
    "allocate-node-cidrs": f"{_CLOUD}.AllocateNodeCIDRs",
    "cloud-config": f"{_CLOUD}.CloudProvider.CloudConfigFile",
    "cloud-provider": f"{_CLOUD}.CloudProvider.Name",
    "cluster-cidr": f"{_CLOUD}.ClusterCIDR",
    "cluster-name": f"{_CLOUD}.ClusterName",
    "cluster-signing-cert-file": f"{_SIGNING}.ClusterSigningCertFile",
    "cluster-signing-duration": f"{_SIGNING}.ClusterSigningDuration",
    "cluster-signing-key-file": f"{_SIGNING}.ClusterSigningKeyFile",
    **{
        f"cluster-signing-{flag}-{file}-file": f"{_SIGNING}.{signer}SignerConfiguration.{field}"
        for flag, signer in (
            ("kube-apiserver-client", "KubeAPIServerClient"),
            ("kubelet-client", "KubeletClient"),
            ("kubelet-serving", "KubeletServing"),
            ("legacy-unknown", "LegacyUnknown"),
        )
        for file, field in (("cert", "CertFile"), ("key", "KeyFile"))
    },
    "concurrent-cron-job-syncs": "CronJobController.ConcurrentCronJobSyncs",
    "concurrent-daemonset-syncs": "DaemonSetController.ConcurrentDaemonSetSyncs",
    "concurrent-deployment-syncs": "DeploymentController.ConcurrentDeploymentSyncs",
    "concurrent-device-taint-eviction-syncs": "DeviceTaintEvictionController.ConcurrentSyncs",
    "concurrent-endpoint-syncs": "EndpointController.ConcurrentEndpointSyncs",
    "concurrent-ephemeralvolume-syncs": (
        "EphemeralVolumeController.ConcurrentEphemeralVolumeSyncs"
    ),
    "concurrent-gc-syncs": "GarbageCollectorController.ConcurrentGCSyncs",
    f"concurrent-{_AUTOSCALER}-syncs": f"{_HPA}.ConcurrentHorizontalPodAutoscalerSyncs",
    "concurrent-job-syncs": "JobController.ConcurrentJobSyncs",
    "concurrent-namespace-syncs": "NamespaceController.ConcurrentNamespaceSyncs",
    "concurrent-node-syncs": "NodeController.ConcurrentNodeSyncs",
    "concurrent-rc-syncs": "ReplicationController.ConcurrentRCSyncs",
    "concurrent-replicaset-syncs": "ReplicaSetController.ConcurrentRSSyncs",
    "concurrent-resource-quota-syncs": "ResourceQuotaController.ConcurrentResourceQuotaSyncs",
    "concurrent-resourceclaim-syncs": "ResourceClaimController.ConcurrentSyncs",
    "concurrent-service-endpoint-syncs": f"{_SLICES}.ConcurrentServiceEndpointSyncs",
    "concurrent-service-syncs": "ServiceController.ConcurrentServiceSyncs",
    "concurrent-serviceaccount-token-syncs": "SAController.ConcurrentSATokenSyncs",
    "concurrent-statefulset-syncs": "StatefulSetController.ConcurrentStatefulSetSyncs",
    "concurrent-ttl-after-finished-syncs": "TTLAfterFinishedController.ConcurrentTTLSyncs",
    "concurrent-validating-admission-policy-status-syncs": (
        "ValidatingAdmissionPolicyStatusController.ConcurrentPolicySyncs"
    ),
    "configure-cloud-routes": f"{_CLOUD}.ConfigureCloudRoutes",
    "controller-start-interval": "Generic.ControllerStartInterval",
    "controllers": "Generic.Controllers",
    "disable-force-detach-on-timeout": "AttachDetachController.disableForceDetachOnTimeout",
    "enable-dynamic-provisioning": (
        "PersistentVolumeBinderController.VolumeConfiguration.EnableDynamicProvisioning"
    ),
    "enable-garbage-collector": "GarbageCollectorController.EnableGarbageCollector",
    "endpoint-updates-batch-period": "EndpointController.EndpointUpdatesBatchPeriod",
    "endpointslice-updates-batch-period": f"{_SLICES}.EndpointUpdatesBatchPeriod",
    f"{_AUTOSCALER}-cpu-initialization-period": (
        f"{_HPA}.HorizontalPodAutoscalerCPUInitializationPeriod"
    ),
    f"{_AUTOSCALER}-downscale-stabilization": (
        f"{_HPA}.HorizontalPodAutoscalerDownscaleStabilizationWindow"
    ),
    f"{_AUTOSCALER}-initial-readiness-delay": (
        f"{_HPA}.HorizontalPodAutoscalerInitialReadinessDelay"
    ),
    f"{_AUTOSCALER}-sync-period": f"{_HPA}.HorizontalPodAutoscalerSyncPeriod",
    f"{_AUTOSCALER}-tolerance": f"{_HPA}.HorizontalPodAutoscalerTolerance",
    "kube-api-burst": f"{_CLIENT}.burst",
    "kube-api-qps": f"{_CLIENT}.qps",
    "kubeconfig": f"{_CLIENT}.kubeconfig",
    "large-cluster-size-threshold": "NodeLifecycleController.LargeClusterSizeThreshold",
    "leader-elect": f"{_ELECTION}.leaderElect",
    "leader-elect-lease-duration": f"{_ELECTION}.leaseDuration",
    "leader-elect-renew-deadline": f"{_ELECTION}.renewDeadline",
    "leader-elect-resource-name": f"{_ELECTION}.resourceName",
    "leader-elect-resource-namespace": f"{_ELECTION}.resourceNamespace",
    "leader-elect-retry-period": f"{_ELECTION}.retryPeriod",
    "legacy-service-account-token-clean-up-period": "LegacySATokenCleaner.CleanUpPeriod",
    "max-endpoints-per-slice": f"{_SLICES}.MaxEndpointsPerSlice",
    "min-resync-period": "Generic.MinResyncPeriod",
    "mirroring-concurrent-service-endpoint-syncs": f"{_MIRRORING}ConcurrentServiceEndpointSyncs",
    "mirroring-endpointslice-updates-batch-period": f"{_MIRRORING}EndpointUpdatesBatchPeriod",
    "mirroring-max-endpoints-per-subset": f"{_MIRRORING}MaxEndpointsPerSubset",
    "namespace-sync-period": "NamespaceController.NamespaceSyncPeriod",
    "node-cidr-mask-size": f"{_IPAM}.NodeCIDRMaskSize",
    "node-cidr-mask-size-ipv4": f"{_IPAM}.NodeCIDRMaskSizeIPv4",
    "node-cidr-mask-size-ipv6": f"{_IPAM}.NodeCIDRMaskSizeIPv6",
    "node-eviction-rate": "NodeLifecycleController.NodeEvictionRate",
    "node-monitor-grace-period": "NodeLifecycleController.NodeMonitorGracePeriod",
    "node-monitor-period": f"{_CLOUD}.NodeMonitorPeriod",
    "node-startup-grace-period": "NodeLifecycleController.NodeStartupGracePeriod",
    "node-status-update-frequency": "NodeStatusUpdateFrequency",
    "pvclaimbinder-sync-period": "PersistentVolumeBinderController.PVClaimBinderSyncPeriod",
    "resource-quota-sync-period": "ResourceQuotaController.ResourceQuotaSyncPeriod",
    "root-ca-file": "SAController.RootCAFile",
    "route-reconciliation-period": f"{_CLOUD}.RouteReconciliationPeriod",
    "secondary-node-eviction-rate": "NodeLifecycleController.SecondaryNodeEvictionRate",
    "service-account-private-key-file": "SAController.ServiceAccountKeyFile",
    "service-cluster-ip-range": f"{_IPAM}.ServiceCIDR",
    "terminated-pod-gc-threshold": "PodGCController.TerminatedPodGCThreshold",
    "unhealthy-zone-threshold": "NodeLifecycleController.UnhealthyZoneThreshold",
    "use-service-account-credentials": f"{_CLOUD}.UseServiceAccountCredentials",
}


def document(
    groups: Groups, kind: str, options: Any, given: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """The configuration, by the name that /configz has for it."""
    name = f"{kind.removesuffix('Configuration').lower()}.config.k8s.io"
    found: dict[str, Any] = {"kind": kind, "apiVersion": f"{name}/v1alpha1"}
    for row in (row for rows in groups.values() for row in rows):
        if isinstance(row, Flag) and row.name in FIELDS:
            *above, last = FIELDS[row.name].split(".")
            place = found
            for part in above:
                place = place.setdefault(part, {})
            place[last] = _value(row, options, given)
    return {name: found}


def _value(row: Flag, options: Any, given: Mapping[str, str]) -> Any:
    value = flags.at(options, row.to)
    if row.kind.name == "duration":
        return time.format_duration(value)
    if isinstance(value, bool | int | float):
        return value
    if row.name == "controllers":
        return list(value)
    return given.get(row.name, row.kind.show(value))
