"""KubeletConfiguration v1beta1, with upstream's defaults, and which fields are not served. Pure.

Called by configuration/load. Rules: reference/config-api/kubelet-config.v1beta1. Durations are Go's
texts; "0s" and "" stand for the default, as upstream has it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.api.core import v1 as core
from trireme.machinery.configuration import Configuration


class X509(Configuration, frozen=True):
    clientCAFile: str = ""


class WebhookAuthentication(Configuration, frozen=True):
    enabled: bool = True
    cacheTTL: str = "2m0s"


class Anonymous(Configuration, frozen=True):
    enabled: bool = False


class Authentication(Configuration, frozen=True):
    x509: X509 = X509()
    webhook: WebhookAuthentication = WebhookAuthentication()
    anonymous: Anonymous = Anonymous()


class WebhookAuthorization(Configuration, frozen=True):
    cacheAuthorizedTTL: str = "5m0s"
    cacheUnauthorizedTTL: str = "30s"


class Authorization(Configuration, frozen=True):
    mode: str = "Webhook"
    webhook: WebhookAuthorization = WebhookAuthorization()


class ShutdownGracePeriod(Configuration, frozen=True):
    priority: int
    shutdownGracePeriodSeconds: int


class CrashLoopBackOff(Configuration, frozen=True):
    maxContainerRestartPeriod: str = "5m0s"


class KubeletConfiguration(Configuration, frozen=True, kw_only=True):
    """Fields that are served, by upstream's names."""

    enableServer: bool = True
    staticPodPath: str = ""
    podLogsDir: str = "/var/log/pods"
    syncFrequency: str = "1m0s"
    staticPodURL: str = ""
    staticPodURLHeader: dict[str, list[str]] = {}
    address: str = "0.0.0.0"
    port: int = 10250
    tlsCertFile: str = ""
    tlsPrivateKeyFile: str = ""
    authentication: Authentication = Authentication()
    authorization: Authorization = Authorization()
    imagePullCredentialsVerificationPolicy: str = "NeverVerifyPreloadedImages"
    preloadedImagesVerificationAllowlist: list[str] = []
    clusterDomain: str = ""
    clusterDNS: list[str] = []
    nodeStatusUpdateFrequency: str = "10s"
    nodeStatusReportFrequency: str = "5m0s"
    nodeLeaseDurationSeconds: int = 40
    imageMinimumGCAge: str = "2m0s"
    imageGCHighThresholdPercent: int = 85
    imageGCLowThresholdPercent: int = 80
    cgroupRoot: str = ""
    maxPods: int = 110
    podPidsLimit: int = -1
    resolvConf: str = "/etc/resolv.conf"
    serializeImagePulls: bool | None = None
    maxParallelImagePulls: int | None = None
    evictionHard: dict[str, str] | None = None
    evictionSoft: dict[str, str] = {}
    evictionSoftGracePeriod: dict[str, str] = {}
    evictionPressureTransitionPeriod: str = "5m0s"
    evictionMaxPodGracePeriod: int = 0
    evictionMinimumReclaim: dict[str, str] = {}
    mergeDefaultEvictionSettings: bool = False
    podsPerCore: int = 0
    containerLogMaxSize: str = "10Mi"
    containerLogMaxFiles: int = 5
    systemReserved: dict[str, str] = {}
    kubeReserved: dict[str, str] = {}
    allowedUnsafeSysctls: list[str] = []
    providerID: str = ""
    shutdownGracePeriod: str = "0s"
    shutdownGracePeriodCriticalPods: str = "0s"
    shutdownGracePeriodByPodPriority: list[ShutdownGracePeriod] = []
    crashLoopBackOff: CrashLoopBackOff = CrashLoopBackOff()
    registerWithTaints: list[core.Taint] = []
    registerNode: bool = True
    containerRuntimeEndpoint: str = "unix:///run/containerd/containerd.sock"
    imageServiceEndpoint: str = ""


class NotServed(msgspec.Struct, frozen=True):
    """A field of upstream's: only its ``default`` (or what means it) may be given."""

    default: Any
    reason: str


_FIXED = "it is fixed here"
_PAGE = "there is no such page or port"
_LATER = "not there yet"
_LOG = "logs go to standard error as text"
_API = "requests to the API server are not limited by rate"
NOT_SERVED: dict[str, NotServed] = {
    "fileCheckFrequency": NotServed("20s", "files are read every second"),
    "httpCheckFrequency": NotServed("20s", _FIXED),
    "readOnlyPort": NotServed(0, "every request is authenticated"),
    "tlsCipherSuites": NotServed([], "those of Python's defaults are served"),
    "tlsCurvePreferences": NotServed([], "those of Python's defaults are served"),
    "tlsMinVersion": NotServed("", "TLS 1.2 and later are served"),
    "rotateCertificates": NotServed(False, "certificates are made for the node from outside"),
    "serverTLSBootstrap": NotServed(False, "certificates are made for the node from outside"),
    "registryPullQPS": NotServed(5, "pulls are limited by number, not by rate"),
    "registryBurst": NotServed(10, "pulls are limited by number, not by rate"),
    "eventRecordQPS": NotServed(50, "events are limited by correlation"),
    "eventBurst": NotServed(100, "events are limited by correlation"),
    "enableDebuggingHandlers": NotServed(True, "logs and exec are always served"),
    "enableContentionProfiling": NotServed(False, _PAGE),
    "healthzPort": NotServed(10248, "health is served on the kubelet's own port: /healthz"),
    "healthzBindAddress": NotServed("127.0.0.1", "see healthzPort"),
    "oomScoreAdj": NotServed(-999, _FIXED),
    "streamingConnectionIdleTimeout": NotServed("4h0m0s", _FIXED),
    "imageMaximumGCAge": NotServed("0s", _LATER),
    "volumeStatsAggPeriod": NotServed("1m0s", _FIXED),
    "kubeletCgroups": NotServed("", "the kubelet stays in the cgroup in which it is started"),
    "systemCgroups": NotServed("", "processes of the system stay where they are"),
    "cgroupsPerQOS": NotServed(True, "pods are always in cgroups of their QoS class"),
    "cgroupDriver": NotServed("cgroupfs", "cgroups are made without systemd"),
    "cpuManagerPolicy": NotServed("none", _LATER),
    "singleProcessOOMKill": NotServed(False, _LATER),
    "cpuManagerPolicyOptions": NotServed({}, _LATER),
    "cpuManagerReconcilePeriod": NotServed("10s", _LATER),
    "memoryManagerPolicy": NotServed("None", _LATER),
    "topologyManagerPolicy": NotServed("none", _LATER),
    "topologyManagerScope": NotServed("container", _LATER),
    "topologyManagerPolicyOptions": NotServed({}, _LATER),
    "qosReserved": NotServed({}, "alpha upstream"),
    "runtimeRequestTimeout": NotServed("2m0s", _FIXED),
    "hairpinMode": NotServed("promiscuous-bridge", "that is the CNI plugin's"),
    "podCIDR": NotServed("", "it comes from the Node"),
    "runOnce": NotServed(False, "Runonce mode has been deprecated and should not be set"),
    "cpuCFSQuota": NotServed(True, "limits of CPU are always enforced"),
    "cpuCFSQuotaPeriod": NotServed("100ms", _FIXED),
    "nodeStatusMaxImages": NotServed(50, _FIXED),
    "maxOpenFiles": NotServed(1000000, "the process keeps the limit with which it is started"),
    "contentType": NotServed("application/vnd.kubernetes.protobuf", "requests are JSON"),
    "kubeAPIQPS": NotServed(50, _API),
    "kubeAPIBurst": NotServed(100, _API),
    "enableControllerAttachDetach": NotServed(True, "the controller attaches volumes"),
    "protectKernelDefaults": NotServed(False, "settings of the kernel are not changed"),
    "makeIPTablesUtilChains": NotServed(True, "no rules of iptables are made"),
    "iptablesMasqueradeBit": NotServed(14, "no rules of iptables are made"),
    "iptablesDropBit": NotServed(15, "no rules of iptables are made"),
    "featureGates": NotServed({}, "the kubelet has no feature gates"),
    "failSwapOn": NotServed(True, "swap does not keep the kubelet from starting"),
    "memorySwap": NotServed({}, _LATER),
    "containerLogMaxWorkers": NotServed(1, _FIXED),
    "containerLogMonitorInterval": NotServed("10s", _FIXED),
    "configMapAndSecretChangeDetectionStrategy": NotServed("Watch", _FIXED),
    "reservedSystemCPUs": NotServed("", _LATER),
    "showHiddenMetricsForVersion": NotServed("", "no metrics are hidden"),
    "systemReservedCgroup": NotServed("", "only pods' cgroups are limited"),
    "kubeReservedCgroup": NotServed("", "only pods' cgroups are limited"),
    "enforceNodeAllocatable": NotServed(["pods"], "only pods' cgroups are limited"),
    "volumePluginDir": NotServed(
        "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/", "there are no FlexVolumes"
    ),
    "kernelMemcgNotification": NotServed(False, "memory is looked at every ten seconds"),
    "logging": NotServed({}, _LOG),
    "enableSystemLogHandler": NotServed(True, _LATER),
    "enableSystemLogQuery": NotServed(False, _LATER),
    "reservedMemory": NotServed([], _LATER),
    "enableProfilingHandler": NotServed(True, _PAGE),
    "enableDebugFlagsHandler": NotServed(True, _PAGE),
    "seccompDefault": NotServed(False, _LATER),
    "memoryThrottlingFactor": NotServed(0.9, "alpha upstream"),
    "memoryReservationPolicy": NotServed("None", "alpha upstream"),
    "tracing": NotServed(None, _LATER),
    "localStorageCapacityIsolation": NotServed(True, "limits of local storage are enforced"),
    "failCgroupV1": NotServed(True, "cgroup v1 is served"),
    "userNamespaces": NotServed(None, _LATER),
}
