"""KubeletConfiguration: files, drop-ins, flags, what is refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trireme.kubelet import thresholds
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.configuration import convert, load
from trireme.kubelet.configuration.types import NOT_SERVED, KubeletConfiguration

# Every field of upstream's v1beta1.
NAMES = """
    enableServer staticPodPath podLogsDir syncFrequency fileCheckFrequency httpCheckFrequency
    staticPodURL staticPodURLHeader address port readOnlyPort tlsCertFile tlsPrivateKeyFile
    tlsCipherSuites tlsCurvePreferences tlsMinVersion rotateCertificates serverTLSBootstrap
    authentication authorization registryPullQPS registryBurst
    imagePullCredentialsVerificationPolicy preloadedImagesVerificationAllowlist eventRecordQPS
    eventBurst enableDebuggingHandlers enableContentionProfiling healthzPort healthzBindAddress
    oomScoreAdj clusterDomain clusterDNS streamingConnectionIdleTimeout
    nodeStatusUpdateFrequency nodeStatusReportFrequency nodeLeaseDurationSeconds
    imageMinimumGCAge imageMaximumGCAge imageGCHighThresholdPercent imageGCLowThresholdPercent
    volumeStatsAggPeriod kubeletCgroups systemCgroups cgroupRoot cgroupsPerQOS cgroupDriver
    cpuManagerPolicy singleProcessOOMKill cpuManagerPolicyOptions cpuManagerReconcilePeriod
    memoryManagerPolicy topologyManagerPolicy topologyManagerScope topologyManagerPolicyOptions
    qosReserved runtimeRequestTimeout hairpinMode maxPods podCIDR podPidsLimit resolvConf
    runOnce cpuCFSQuota cpuCFSQuotaPeriod nodeStatusMaxImages maxOpenFiles contentType
    kubeAPIQPS kubeAPIBurst serializeImagePulls maxParallelImagePulls evictionHard evictionSoft
    evictionSoftGracePeriod evictionPressureTransitionPeriod evictionMaxPodGracePeriod
    evictionMinimumReclaim mergeDefaultEvictionSettings podsPerCore enableControllerAttachDetach
    protectKernelDefaults makeIPTablesUtilChains iptablesMasqueradeBit iptablesDropBit
    featureGates failSwapOn memorySwap containerLogMaxSize containerLogMaxFiles
    containerLogMaxWorkers containerLogMonitorInterval configMapAndSecretChangeDetectionStrategy
    systemReserved kubeReserved reservedSystemCPUs showHiddenMetricsForVersion
    systemReservedCgroup kubeReservedCgroup enforceNodeAllocatable allowedUnsafeSysctls
    volumePluginDir providerID kernelMemcgNotification logging enableSystemLogHandler
    enableSystemLogQuery shutdownGracePeriod shutdownGracePeriodCriticalPods
    shutdownGracePeriodByPodPriority crashLoopBackOff reservedMemory enableProfilingHandler
    enableDebugFlagsHandler seccompDefault memoryThrottlingFactor memoryReservationPolicy
    registerWithTaints registerNode tracing localStorageCapacityIsolation
    containerRuntimeEndpoint imageServiceEndpoint failCgroupV1 userNamespaces
"""
UPSTREAM = NAMES.split()
BASE = KubeletConfig(node_name="n", node_ips=("192.0.2.1",))


def document(text: str = "") -> bytes:
    head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
    return (head + text).encode()


def config(text: str = "", *drop_ins: str, **flags: Any) -> KubeletConfig:
    found = load.load(
        document(text), [(f"/d/{n}.conf", document(t)) for n, t in enumerate(drop_ins)], flags
    )
    return convert.to_config(found, BASE, 4)


def test_every_field_of_upstreams_is_served_or_refused_by_name() -> None:
    served = set(KubeletConfiguration.__struct_fields__)
    assert served | set(NOT_SERVED) == set(UPSTREAM)
    assert served & set(NOT_SERVED) == set()


@pytest.mark.parametrize("name", sorted(NOT_SERVED))
def test_of_fields_that_are_not_served_only_the_default_is_taken(name: str) -> None:
    default = NOT_SERVED[name].default
    load.load(msgspec.json.encode({**_head(), name: default}))
    other: Any = 12345 if isinstance(default, str | int) and default is not True else {"a": "b"}
    if isinstance(default, bool):
        other = not default
    if name == "logging":
        other = {"format": "json"}
    with pytest.raises(ValueError, match=f"{name}: .* is not supported: "):
        load.load(msgspec.json.encode({**_head(), name: other}))


def _head() -> dict[str, str]:
    return {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}


def test_a_configuration_as_kubeadm_writes_it() -> None:
    found = config(
        """
authentication:
  anonymous: {enabled: false}
  webhook: {cacheTTL: 0s, enabled: true}
  x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}
authorization:
  mode: Webhook
  webhook: {cacheAuthorizedTTL: 0s, cacheUnauthorizedTTL: 0s}
cgroupDriver: cgroupfs
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
containerRuntimeEndpoint: ""
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}}, verbosity: 0}
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
"""
    )
    assert found.static_pod_path == "/etc/kubernetes/manifests"
    assert found.cluster_dns == ("10.96.0.10",)
    assert (found.resync_seconds, found.status_report_seconds) == (60.0, 300.0)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("maxpods: 1", 'unknown field "maxpods"'),
        ("authentication: {anonymus: {}}", 'unknown field "authentication.anonymus"'),
        ("maxPods: 1\nmaxPods: 2", "already set in map"),
        ("maxPods: many", "Expected `int`"),
        ("syncFrequency: soon", "syncFrequency: "),
        ("imageGCLowThresholdPercent: 90", "must be less than imageGCHighThresholdPercent"),
        ("imageGCHighThresholdPercent: 101", "must be between 0 and 100, inclusive"),
        ("evictionHard: {memory: 1Gi}", "unsupported eviction signal memory"),
        ("evictionSoft: {memory.available: 1Gi}", "grace period must be specified"),
        ("maxPods: -1", "must not be a negative number"),
        ("port: 0", "must be between 1 and 65535"),
        ("nodeLeaseDurationSeconds: -1", "must be greater than 0"),
        ("serializeImagePulls: true\nmaxParallelImagePulls: 3", "cannot be larger than 1"),
        ("shutdownGracePeriod: 1s\nshutdownGracePeriodCriticalPods: 2s", "must be <="),
        ("shutdownGracePeriod: 10ms", "zero or otherwise >= 1 sec"),
        ("imagePullCredentialsVerificationPolicy: Sometimes", "Valid options are"),
        ("preloadedImagesVerificationAllowlist: [a/b]", "can't set"),
        ("crashLoopBackOff: {maxContainerRestartPeriod: 10m}", "between 1s and 300s"),
        ("kubeReserved: {gpu: '1'}", 'cannot reserve "gpu" resource'),
        ("kubeReserved: {cpu: '-1'}", "cannot be negative"),
        ("clusterDNS: [dns]", "is not an IP address"),
        ("authorization: {mode: RBAC}", "unknown authorization mode"),
        ("podLogsDir: logs", "must be absolute path"),
        ("containerLogMaxFiles: 1", "must be greater than 1"),
    ],
)
def test_bad_configurations(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        config(text)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"a: [", b"kind: KubeletConfiguration\n", document().replace(b"v1beta1", b"v1")],
)
def test_documents_of_another_kind(data: bytes) -> None:
    with pytest.raises(ValueError):
        load.load(data)


def test_drop_ins_are_merged_in_order_and_flags_come_last() -> None:
    found = config(
        "maxPods: 10\nkubeReserved: {cpu: 100m, memory: 1Gi}\nclusterDNS: [192.0.2.1]",
        "maxPods: 20\nkubeReserved: {cpu: 200m}",
        "clusterDNS: [192.0.2.2, 192.0.2.3]",
        podPidsLimit=7,
    )
    assert found.max_pods == 20
    assert found.kube_reserved == {"cpu": "200m", "memory": "1Gi"}
    assert found.cluster_dns == ("192.0.2.2", "192.0.2.3")
    assert found.pod_pids_limit == 7
    assert config("maxPods: 10", "maxPods: 20", maxPods=30).max_pods == 30


def test_a_bad_drop_in_is_named() -> None:
    with pytest.raises(ValueError, match=r'path: /d/0.conf, error: .*unknown field "x"'):
        config("", "x: 1")


def test_eviction_thresholds_replace_the_defaults_in_a_file_and_join_them_in_a_drop_in() -> None:
    assert config().eviction.hard == dict(thresholds.HARD)
    own = "evictionHard: {memory.available: 1Gi}"
    assert config(own).eviction.hard == {"memory.available": "1Gi"}
    merged = {**thresholds.HARD, "memory.available": "1Gi"}
    assert config("", own).eviction.hard == merged
    assert config(f"{own}\nmergeDefaultEvictionSettings: true").eviction.hard == merged


def test_the_time_of_a_shutdown_by_priority() -> None:
    assert config().shutdown == ()
    found = config("shutdownGracePeriod: 30s\nshutdownGracePeriodCriticalPods: 10s")
    assert found.shutdown == ((0, 20), (2_000_000_000, 10))
    by_priority = (
        "shutdownGracePeriodByPodPriority: [{priority: 10, shutdownGracePeriodSeconds: 5},"
        " {priority: 0, shutdownGracePeriodSeconds: 60}]"
    )
    assert config(by_priority).shutdown == ((0, 60), (10, 5))


@pytest.mark.parametrize(
    ("text", "many"),
    [
        ("", 1),
        ("serializeImagePulls: false", 0),
        ("serializeImagePulls: false\nmaxParallelImagePulls: 4", 4),
        ("maxParallelImagePulls: 4", 4),
    ],
)
def test_how_many_images_are_pulled_at_a_time(text: str, many: int) -> None:
    assert config(text).parallel_pulls == many


def test_pods_per_core() -> None:
    assert config("podsPerCore: 10").max_pods == 40
    assert config("podsPerCore: 100").max_pods == 110


def test_configz_has_every_value() -> None:
    served = convert.document_of(config("maxPods: 10\nevictionHard: {memory.available: 1Gi}"))
    assert served["maxPods"] == 10 and served["evictionHard"] == {"memory.available": "1Gi"}
    assert served["kind"] == "KubeletConfiguration" and served["healthzPort"] == 10248
    # And is itself a configuration.
    assert load.load(msgspec.json.encode(served)).maxPods == 10
    load.load(msgspec.json.encode(convert.document_of(BASE)))
