"""What a KubeletConfiguration means for this kubelet, and how it is served at /configz. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.kubelet import podspec
from trireme.kubelet.config import EvictionConfig, KubeletConfig, ServerConfig
from trireme.kubelet.configuration.types import NOT_SERVED, KubeletConfiguration
from trireme.machinery import quantity, time


def to_config(of: KubeletConfiguration, base: KubeletConfig, cpus: int) -> KubeletConfig:
    """``base`` with all that the configuration has; names and addresses of the node are its own."""
    authentication = of.authentication
    server = ServerConfig(
        address=of.address,
        port=of.port,
        certificate_file=of.tlsCertFile,
        key_file=of.tlsPrivateKeyFile,
        client_ca_file=authentication.x509.clientCAFile,
        anonymous=authentication.anonymous.enabled,
        tokens=authentication.webhook.enabled,
        always_allow=of.authorization.mode == "AlwaysAllow",
    )
    most = of.maxPods
    if of.podsPerCore:
        most = min(most, of.podsPerCore * cpus)
    return msgspec.structs.replace(
        base,
        logs_dir=of.podLogsDir,
        cgroup_parent=f"{of.cgroupRoot.rstrip('/')}/kubepods"
        if of.cgroupRoot
        else base.cgroup_parent,
        cluster_domain=of.clusterDomain or base.cluster_domain,
        cluster_dns=tuple(of.clusterDNS) or base.cluster_dns,
        resolv_conf=of.resolvConf,
        taints=tuple((taint.key, taint.value, taint.effect) for taint in of.registerWithTaints)
        or base.taints,
        register=of.registerNode,
        provider_id=of.providerID or base.provider_id,
        max_pods=most,
        pod_pids_limit=of.podPidsLimit,
        system_reserved=of.systemReserved,
        kube_reserved=of.kubeReserved,
        eviction=EvictionConfig(
            hard=of.evictionHard or {},
            soft=of.evictionSoft,
            soft_grace=of.evictionSoftGracePeriod,
            minimum_reclaim=of.evictionMinimumReclaim,
            max_pod_grace_seconds=of.evictionMaxPodGracePeriod,
            transition_seconds=time.parse_duration(of.evictionPressureTransitionPeriod),
        ),
        static_pod_path=of.staticPodPath,
        static_pod_url=of.staticPodURL,
        static_pod_url_headers={k: ", ".join(v) for k, v in of.staticPodURLHeader.items()},
        server=server if of.enableServer and of.tlsCertFile else None,
        unsafe_sysctls=tuple(of.allowedUnsafeSysctls),
        resync_seconds=time.parse_duration(of.syncFrequency),
        status_update_seconds=time.parse_duration(of.nodeStatusUpdateFrequency),
        status_report_seconds=time.parse_duration(of.nodeStatusReportFrequency),
        lease_seconds=of.nodeLeaseDurationSeconds,
        crash_backoff_max_seconds=time.parse_duration(
            of.crashLoopBackOff.maxContainerRestartPeriod
        ),
        image_gc_high_percent=of.imageGCHighThresholdPercent,
        image_gc_low_percent=of.imageGCLowThresholdPercent,
        image_gc_min_age_seconds=time.parse_duration(of.imageMinimumGCAge),
        log_max_bytes=quantity.parse(of.containerLogMaxSize).value(),
        log_max_files=of.containerLogMaxFiles,
        parallel_pulls=_parallel_pulls(of),
        pull_verification=of.imagePullCredentialsVerificationPolicy,
        preloaded_images=tuple(of.preloadedImagesVerificationAllowlist),
        shutdown=_shutdown(of),
        document=document(of),
    )


def document_of(config: KubeletConfig) -> dict[str, Any]:
    """The configuration of any kubelet, also of one that was not made from a document."""
    if config.document:
        return dict(config.document)
    eviction = config.eviction
    return document(
        KubeletConfiguration(
            clusterDomain=config.cluster_domain,
            clusterDNS=list(config.cluster_dns),
            maxPods=config.max_pods,
            podPidsLimit=config.pod_pids_limit,
            resolvConf=config.resolv_conf,
            podLogsDir=config.logs_dir,
            providerID=config.provider_id,
            containerLogMaxSize=str(quantity.of(config.log_max_bytes, quantity.BINARY_SI)),
            containerLogMaxFiles=config.log_max_files,
            imageGCHighThresholdPercent=config.image_gc_high_percent,
            imageGCLowThresholdPercent=config.image_gc_low_percent,
            evictionHard=dict(eviction.hard),
            evictionSoft=dict(eviction.soft),
            evictionSoftGracePeriod=dict(eviction.soft_grace),
            evictionMinimumReclaim=dict(eviction.minimum_reclaim),
            systemReserved=config.system_reserved,
            kubeReserved=config.kube_reserved,
            staticPodPath=config.static_pod_path,
        )
    )


def document(of: KubeletConfiguration) -> dict[str, Any]:
    """The whole configuration with its defaults, as /configz serves it."""
    served = msgspec.to_builtins(of)
    rest = {name: field.default for name, field in NOT_SERVED.items() if name not in served}
    whole = {**rest, **{name: value for name, value in served.items() if value is not None}}
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        **{name: value for name, value in whole.items() if value not in (None, "", {}, [])},
    }


def _parallel_pulls(of: KubeletConfiguration) -> int:
    """How many images are pulled at a time; 0 for any number."""
    serial = of.serializeImagePulls
    if serial is None:
        serial = (of.maxParallelImagePulls or 1) < 2
    return 1 if serial else of.maxParallelImagePulls or 0


def _shutdown(of: KubeletConfiguration) -> tuple[tuple[int, int], ...]:
    """Lowest priorities first, with the seconds that each has."""
    if of.shutdownGracePeriodByPodPriority:
        return tuple(
            sorted(
                (item.priority, item.shutdownGracePeriodSeconds)
                for item in of.shutdownGracePeriodByPodPriority
            )
        )
    whole = int(time.parse_duration(of.shutdownGracePeriod))
    critical = int(time.parse_duration(of.shutdownGracePeriodCriticalPods))
    return ((0, whole - critical), (podspec.CRITICAL, critical)) if whole else ()
