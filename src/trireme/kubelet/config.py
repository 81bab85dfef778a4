"""The configuration of a kubelet.

In: values from the composition root. Out: ``KubeletConfig``. No defaults are read from the
machine: two kubelets on one host differ only by their configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trireme.kubelet import thresholds
from trireme.kubelet.thresholds import Threshold

VERSION = "v1.36.2"


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTPS server. Files are PEM."""

    address: str = "0.0.0.0"
    port: int = 10250
    certificate_file: str
    key_file: str
    client_ca_file: str = ""
    anonymous: bool = False
    # Whether bearer tokens are reviewed by the API server, and whether all is allowed to whoever
    # is authenticated.
    tokens: bool = True
    always_allow: bool = False


class EvictionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Signals to amounts, as KubeletConfiguration has them; ``soft_grace`` to Go durations."""

    hard: Mapping[str, str] = thresholds.HARD
    soft: Mapping[str, str] = {}
    soft_grace: Mapping[str, str] = {}
    minimum_reclaim: Mapping[str, str] = {}
    max_pod_grace_seconds: int = 0
    transition_seconds: float = 300.0

    def thresholds(self) -> tuple[Threshold, ...]:
        """Raises ValueError."""
        return thresholds.parse(self.hard, self.soft, self.soft_grace, self.minimum_reclaim)


class KubeletConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``root_dir`` holds pods' volumes, ``logs_dir`` their log files.

    ``cgroup_parent`` is the cgroup under which pods' cgroups are made, ``/kubepods`` on a machine
    with one kubelet. Reserved resources and thresholds are quantities. ``external_cloud``: a cloud
    controller manager initialises the node, and its addresses are the cloud's.
    """

    node_name: str
    node_ips: tuple[str, ...]
    hostname: str = ""
    root_dir: str = "/var/lib/kubelet"
    logs_dir: str = "/var/log/pods"
    cgroup_parent: str = "/kubepods"
    cluster_domain: str = "cluster.local"
    cluster_dns: tuple[str, ...] = ()
    resolv_conf: str = "/etc/resolv.conf"
    hosts_file: str = "/etc/hosts"
    labels: dict[str, str] = {}
    taints: tuple[tuple[str, str, str], ...] = ()  # key, value, effect
    register: bool = True
    provider_id: str = ""
    external_cloud: bool = False
    max_pods: int = 110
    pod_pids_limit: int = -1
    # Overrides the machine's capacity: many nodes share one machine.
    capacity: dict[str, str] = {}
    system_reserved: dict[str, str] = {}
    kube_reserved: dict[str, str] = {}
    eviction: EvictionConfig = EvictionConfig()
    # A directory or a file of manifests of static pods, and a URL of them.
    static_pod_path: str = ""
    static_pod_url: str = ""
    static_pod_url_headers: Mapping[str, str] = {}
    # Without an API server: static pods only.
    standalone: bool = False
    server: ServerConfig | None = None
    unsafe_sysctls: tuple[str, ...] = ()
    # How many images are pulled at a time; 0 for any number.
    parallel_pulls: int = 1
    # Whose credentials are verified for images that are on the node, and names of exceptions.
    pull_verification: str = "NeverVerifyPreloadedImages"
    preloaded_images: tuple[str, ...] = ()
    # Priorities, lowest first, and the seconds that pods of each have when the node shuts down.
    shutdown: tuple[tuple[int, int], ...] = ()
    # The KubeletConfiguration that /configz serves.
    document: Mapping[str, Any] = {}
    runtime_name: str = "containerd"
    memory_backed_volumes: bool = True
    resync_seconds: float = 60.0
    status_update_seconds: float = 10.0
    status_report_seconds: float = 300.0
    lease_seconds: int = 40
    crash_backoff_max_seconds: float = 300.0
    image_gc_high_percent: int = 85
    image_gc_low_percent: int = 80
    image_gc_min_age_seconds: float = 120.0
    log_max_bytes: int = 10 * 1024 * 1024
    log_max_files: int = 5
