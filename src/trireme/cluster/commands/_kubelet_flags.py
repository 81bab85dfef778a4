"""The flags of upstream's kubelet v1.36.

In: nothing. Out: ``FLAGS`` that set a field of KubeletConfiguration (``to``), ``REFUSED`` with the
reason of each. Those of the command itself are in ``kubelet``. Upstream:
https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.commands import _types
from trireme.cluster.flags import Flag, Kind, Refused
from trireme.kubelet.configuration.types import NOT_SERVED
from trireme.machinery import time

_FIELD: Final = "The field {} of --config."


def _text(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("must be a text of printable ASCII")
    return text


def _list(text: str) -> list[str]:
    return [_text(item) for item in text.split(",")]


def _addresses(text: str) -> list[str]:
    return [kinds.ADDRESS.parse(item) for item in text.split(",")]


def _provider_id(text: str) -> str:
    found: str = _types.PROVIDER_ID.convert(text, None, None)
    return found


def _period(text: str) -> str:
    if time.parse_duration(text) <= 0:
        raise ValueError("must be positive")
    return text


def _duration(text: str) -> str:
    if time.parse_duration(text) < 0:
        raise ValueError("must not be negative")
    return text


def _pair(text: str, separator: str) -> tuple[str, str]:
    key, mark, value = (part.strip() for part in text.partition(separator))
    if not key or not mark or not value:
        raise ValueError(f"malformed pair, expect string{separator}string")
    return key, value


def _pairs(separator: str) -> Kind:
    def parse(text: str) -> dict[str, str]:
        return dict(_pair(item, separator) for item in _list(text))

    return Kind("pairs", parse)


def _headers(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in _list(text):
        key, value = _pair(item, ":")
        found.setdefault(key, []).append(value)
    return found


def _taints(text: str) -> list[dict[str, str]]:
    found = []
    for item in _list(text):
        both, _, effect = item.rpartition(":")
        key, _, value = both.partition("=")
        if not key or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            raise ValueError(f"invalid taint spec: {item}")
        found.append({"key": key, "value": value, "effect": effect})
    return found


_TEXT, _DURATION, _INT = Kind("text", _text), Kind("duration", _duration), kinds.count(-1)
_STRINGS = Kind("texts", _list)
_KINDS: Final[Sequence[tuple[str, str, Kind]]] = (
    ("address", "address", kinds.ADDRESS),
    ("allowed-unsafe-sysctls", "allowedUnsafeSysctls", _STRINGS),
    ("anonymous-auth", "authentication.anonymous.enabled", kinds.BOOL),
    ("authentication-token-webhook", "authentication.webhook.enabled", kinds.BOOL),
    ("authentication-token-webhook-cache-ttl", "authentication.webhook.cacheTTL", _DURATION),
    ("authorization-mode", "authorization.mode", _TEXT),
    (
        "authorization-webhook-cache-authorized-ttl",
        "authorization.webhook.cacheAuthorizedTTL",
        _DURATION,
    ),
    (
        "authorization-webhook-cache-unauthorized-ttl",
        "authorization.webhook.cacheUnauthorizedTTL",
        _DURATION,
    ),
    ("cgroup-root", "cgroupRoot", _TEXT),
    ("client-ca-file", "authentication.x509.clientCAFile", kinds.FILE),
    ("cluster-dns", "clusterDNS", Kind("ips", _addresses)),
    ("cluster-domain", "clusterDomain", kinds.NAME),
    ("container-log-max-files", "containerLogMaxFiles", _INT),
    ("container-log-max-size", "containerLogMaxSize", _TEXT),
    ("container-runtime-endpoint", "containerRuntimeEndpoint", _TEXT),
    ("enable-server", "enableServer", kinds.BOOL),
    ("eviction-hard", "evictionHard", _pairs("<")),
    ("eviction-max-pod-grace-period", "evictionMaxPodGracePeriod", _INT),
    ("eviction-minimum-reclaim", "evictionMinimumReclaim", _pairs("=")),
    (
        "eviction-pressure-transition-period",
        "evictionPressureTransitionPeriod",
        _DURATION,
    ),
    ("eviction-soft", "evictionSoft", _pairs("<")),
    ("eviction-soft-grace-period", "evictionSoftGracePeriod", _pairs("=")),
    ("image-gc-high-threshold", "imageGCHighThresholdPercent", _INT),
    ("image-gc-low-threshold", "imageGCLowThresholdPercent", _INT),
    ("image-service-endpoint", "imageServiceEndpoint", _TEXT),
    ("kube-reserved", "kubeReserved", _pairs("=")),
    ("manifest-url", "staticPodURL", _TEXT),
    ("manifest-url-header", "staticPodURLHeader", Kind("headers", _headers)),
    ("max-pods", "maxPods", _INT),
    ("minimum-image-ttl-duration", "imageMinimumGCAge", _DURATION),
    ("node-status-update-frequency", "nodeStatusUpdateFrequency", Kind("duration", _period)),
    ("pod-manifest-path", "staticPodPath", _TEXT),
    ("pod-max-pids", "podPidsLimit", _INT),
    ("pods-per-core", "podsPerCore", _INT),
    ("port", "port", kinds.count(1, 65535)),
    ("provider-id", "providerID", Kind("text", _provider_id)),
    ("register-node", "registerNode", kinds.BOOL),
    ("register-with-taints", "registerWithTaints", Kind("taints", _taints)),
    ("resolv-conf", "resolvConf", _TEXT),
    ("serialize-image-pulls", "serializeImagePulls", kinds.BOOL),
    ("sync-frequency", "syncFrequency", _DURATION),
    ("system-reserved", "systemReserved", _pairs("=")),
    ("tls-cert-file", "tlsCertFile", kinds.FILE),
    ("tls-private-key-file", "tlsPrivateKeyFile", kinds.FILE),
)
FLAGS: Final = tuple(Flag(name, to, kind, _FIELD.format(to)) for name, to, kind in _KINDS)

# Flags of fields that are not served; their defaults are accepted.
_OF_FIELDS: Final = {
    "cgroup-driver": "cgroupDriver",
    "cgroups-per-qos": "cgroupsPerQOS",
    "contention-profiling": "enableContentionProfiling",
    "cpu-cfs-quota": "cpuCFSQuota",
    "cpu-cfs-quota-period": "cpuCFSQuotaPeriod",
    "cpu-manager-policy": "cpuManagerPolicy",
    "cpu-manager-policy-options": "cpuManagerPolicyOptions",
    "cpu-manager-reconcile-period": "cpuManagerReconcilePeriod",
    "enable-controller-attach-detach": "enableControllerAttachDetach",
    "enable-debugging-handlers": "enableDebuggingHandlers",
    "enforce-node-allocatable": "enforceNodeAllocatable",
    "event-burst": "eventBurst",
    "event-qps": "eventRecordQPS",
    "fail-cgroupv1": "failCgroupV1",
    "fail-swap-on": "failSwapOn",
    "feature-gates": "featureGates",
    "file-check-frequency": "fileCheckFrequency",
    "hairpin-mode": "hairpinMode",
    "healthz-bind-address": "healthzBindAddress",
    "healthz-port": "healthzPort",
    "http-check-frequency": "httpCheckFrequency",
    "kernel-memcg-notification": "kernelMemcgNotification",
    "kube-api-burst": "kubeAPIBurst",
    "kube-api-content-type": "contentType",
    "kube-api-qps": "kubeAPIQPS",
    "kube-reserved-cgroup": "kubeReservedCgroup",
    "kubelet-cgroups": "kubeletCgroups",
    "local-storage-capacity-isolation": "localStorageCapacityIsolation",
    "make-iptables-util-chains": "makeIPTablesUtilChains",
    "max-open-files": "maxOpenFiles",
    "memory-manager-policy": "memoryManagerPolicy",
    "node-status-max-images": "nodeStatusMaxImages",
    "oom-score-adj": "oomScoreAdj",
    "pod-cidr": "podCIDR",
    "protect-kernel-defaults": "protectKernelDefaults",
    "qos-reserved": "qosReserved",
    "read-only-port": "readOnlyPort",
    "registry-burst": "registryBurst",
    "registry-qps": "registryPullQPS",
    "reserved-cpus": "reservedSystemCPUs",
    "reserved-memory": "reservedMemory",
    "rotate-certificates": "rotateCertificates",
    "rotate-server-certificates": "serverTLSBootstrap",
    "runonce": "runOnce",
    "runtime-request-timeout": "runtimeRequestTimeout",
    "seccomp-default": "seccompDefault",
    "streaming-connection-idle-timeout": "streamingConnectionIdleTimeout",
    "system-cgroups": "systemCgroups",
    "system-reserved-cgroup": "systemReservedCgroup",
    "tls-cipher-suites": "tlsCipherSuites",
    "tls-min-version": "tlsMinVersion",
    "topology-manager-policy": "topologyManagerPolicy",
    "topology-manager-policy-options": "topologyManagerPolicyOptions",
    "topology-manager-scope": "topologyManagerScope",
    "volume-plugin-dir": "volumePluginDir",
    "volume-stats-agg-period": "volumeStatsAggPeriod",
}
_CADVISOR: Final = "there is no cAdvisor here: statistics are the runtime's"
_LOGS: Final = "logs go to standard error as text"
_GC: Final = "dead containers are kept as --help of upstream advises: one for each container"
_OTHERS: Final = {
    "application-metrics-count-limit": _CADVISOR,
    "boot-id-file": _CADVISOR,
    "container-hints": _CADVISOR,
    "containerd": _CADVISOR,
    "containerd-namespace": _CADVISOR,
    "enable-load-reader": _CADVISOR,
    "event-storage-age-limit": _CADVISOR,
    "event-storage-event-limit": _CADVISOR,
    "global-housekeeping-interval": _CADVISOR,
    "housekeeping-interval": _CADVISOR,
    "log-cadvisor-usage": _CADVISOR,
    "machine-id-file": _CADVISOR,
    "max-housekeeping-interval": _CADVISOR,
    "storage-driver-buffer-duration": _CADVISOR,
    "storage-driver-db": _CADVISOR,
    "storage-driver-host": _CADVISOR,
    "storage-driver-password": _CADVISOR,
    "storage-driver-secure": _CADVISOR,
    "storage-driver-table": _CADVISOR,
    "storage-driver-user": _CADVISOR,
    "bootstrap-kubeconfig": "the node's credentials are made from outside",
    "cert-dir": "the node's credentials are made from outside",
    "image-credential-provider-bin-dir": "only Secrets give credentials for images",
    "image-credential-provider-config": "only Secrets give credentials for images",
    "exit-on-lock-contention": "there is no lock file",
    "experimental-allocatable-ignore-eviction": "allocatable is without hard thresholds",
    "experimental-mounter-path": "volumes are mounted by the kernel and mount(8)",
    "lock-file": "there is no lock file",
    "log-flush-frequency": _LOGS,
    "log-json-info-buffer-size": _LOGS,
    "log-json-split-stream": _LOGS,
    "log-text-info-buffer-size": _LOGS,
    "log-text-split-stream": _LOGS,
    "logging-format": _LOGS,
    "maximum-dead-containers": _GC,
    "maximum-dead-containers-per-container": _GC,
    "minimum-container-ttl-duration": _GC,
    "runtime-cgroups": "the runtime stays in its cgroup",
    "v": _LOGS,
    "vmodule": _LOGS,
}
_ACCEPTED: Final = {"logging-format": ("text",), "v": ("0",)}


def _accepted_texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("true",) if value else ("false",)
    if isinstance(value, list):
        return (",".join(value),) if value else ()
    return () if value in ({}, None, "") else (str(value),)


REFUSED: Final = (
    *(
        Refused(name, NOT_SERVED[to].reason, _accepted_texts(NOT_SERVED[to].default))
        for name, to in _OF_FIELDS.items()
    ),
    *(Refused(name, reason, _ACCEPTED.get(name, ())) for name, reason in _OTHERS.items()),
)
