"""Flags of upstream's kubelet: each sets what it says, or is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from trireme.cluster import flags
from trireme.cluster.commands import _kubelet_flags as rows
from trireme.cluster.commands import kubelet
from trireme.kubelet.configuration import load

# Every flag of upstream's --help but that.
NAMES = """
    address allowed-unsafe-sysctls anonymous-auth application-metrics-count-limit
    authentication-token-webhook authentication-token-webhook-cache-ttl authorization-mode
    authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl
    boot-id-file bootstrap-kubeconfig cert-dir cgroup-driver cgroup-root cgroups-per-qos
    client-ca-file cloud-provider cluster-dns cluster-domain config config-dir container-hints
    container-log-max-files container-log-max-size container-runtime-endpoint containerd
    containerd-namespace contention-profiling cpu-cfs-quota cpu-cfs-quota-period
    cpu-manager-policy cpu-manager-policy-options cpu-manager-reconcile-period
    enable-controller-attach-detach enable-debugging-handlers enable-load-reader enable-server
    enforce-node-allocatable event-burst event-qps event-storage-age-limit
    event-storage-event-limit eviction-hard eviction-max-pod-grace-period
    eviction-minimum-reclaim eviction-pressure-transition-period eviction-soft
    eviction-soft-grace-period exit-on-lock-contention experimental-allocatable-ignore-eviction
    experimental-mounter-path fail-cgroupv1 fail-swap-on feature-gates file-check-frequency
    global-housekeeping-interval hairpin-mode healthz-bind-address healthz-port
    hostname-override housekeeping-interval http-check-frequency
    image-credential-provider-bin-dir image-credential-provider-config image-gc-high-threshold
    image-gc-low-threshold image-service-endpoint kernel-memcg-notification kube-api-burst
    kube-api-content-type kube-api-qps kube-reserved kube-reserved-cgroup kubeconfig
    kubelet-cgroups local-storage-capacity-isolation lock-file log-cadvisor-usage
    log-flush-frequency log-json-info-buffer-size log-json-split-stream
    log-text-info-buffer-size log-text-split-stream logging-format machine-id-file
    make-iptables-util-chains manifest-url manifest-url-header max-housekeeping-interval
    max-open-files max-pods maximum-dead-containers maximum-dead-containers-per-container
    memory-manager-policy minimum-container-ttl-duration minimum-image-ttl-duration node-ip
    node-labels node-status-max-images node-status-update-frequency oom-score-adj pod-cidr
    pod-manifest-path pod-max-pids pods-per-core port protect-kernel-defaults provider-id
    qos-reserved read-only-port register-node register-with-taints registry-burst registry-qps
    reserved-cpus reserved-memory resolv-conf root-dir rotate-certificates
    rotate-server-certificates runonce runtime-cgroups runtime-request-timeout seccomp-default
    serialize-image-pulls storage-driver-buffer-duration storage-driver-db storage-driver-host
    storage-driver-password storage-driver-secure storage-driver-table storage-driver-user
    streaming-connection-idle-timeout sync-frequency system-cgroups system-reserved
    system-reserved-cgroup tls-cert-file tls-cipher-suites tls-min-version tls-private-key-file
    topology-manager-policy topology-manager-policy-options topology-manager-scope v version
    vmodule volume-plugin-dir volume-stats-agg-period
"""
UPSTREAM = NAMES.split()


def test_every_flag_of_upstreams_is_there() -> None:
    # ``trireme --version`` is one for all commands.
    known = {name.removeprefix("--") for p in kubelet.COMMAND.params for name in p.opts}
    assert [name for name in UPSTREAM if name not in known] == ["version"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        (
            "eviction-hard",
            "memory.available<1Gi,nodefs.available<10%",
            {"memory.available": "1Gi", "nodefs.available": "10%"},
        ),
        ("kube-reserved", "cpu=100m, memory=1Gi", {"cpu": "100m", "memory": "1Gi"}),
        ("manifest-url-header", "a:b,a:c,d:e", {"a": ["b", "c"], "d": ["e"]}),
        (
            "register-with-taints",
            "a=b:NoSchedule,c:NoExecute",
            [
                {"key": "a", "value": "b", "effect": "NoSchedule"},
                {"key": "c", "value": "", "effect": "NoExecute"},
            ],
        ),
        ("cluster-dns", "192.0.2.1,192.0.2.2", ["192.0.2.1", "192.0.2.2"]),
        ("sync-frequency", "1m", "1m"),
        ("anonymous-auth", "true", True),
        ("max-pods", "5", 5),
    ],
)
def test_values(name: str, text: str, value: Any) -> None:
    (row,) = [row for row in rows.FLAGS if row.name == name]
    found = row.kind.parse(text)
    assert found == value
    load.load(None, (), {row.to: found})


@pytest.mark.parametrize("row", rows.REFUSED, ids=lambda row: row.name)
def test_refused_flags_say_why(row: flags.Refused) -> None:
    words = ["--node-name=a", "--node-ip=192.0.2.1", f"--{row.name}=7e7"]
    found = CliRunner().invoke(kubelet.COMMAND, words)
    assert found.exit_code == 2
    assert "not supported: " in found.output
