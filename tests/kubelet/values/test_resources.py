"""Requests and limits as classes, cgroups and scores."""

from __future__ import annotations

import pytest
from tests.kubelet.harness import container, pod, resources

from trireme.api.core import v1 as core
from trireme.api.core.v1.pod import qos
from trireme.kubelet import podresources
from trireme.kubelet.cgroups import plan as cgroups
from trireme.kubelet.env import downward
from trireme.kubelet.sync import compute as make
from trireme.kubelet.sync import security


@pytest.mark.parametrize(
    ("requests", "limits", "expected"),
    [
        ({}, {}, "BestEffort"),
        ({"cpu": "1"}, {}, "Burstable"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "1"}, {"cpu": "1"}, "Burstable"),
        ({"example.org/gpu": "1"}, {}, "BestEffort"),
    ],
)
def test_qos_classes(requests: dict, limits: dict, expected: str) -> None:
    assert qos.of(pod("p", resources(requests, limits)).spec) == expected


def test_requests_are_the_peak_of_init_and_run() -> None:
    of = pod(
        "p",
        resources({"cpu": "500m"}),
        initContainers=[
            container(
                "s",
                restartPolicy="Always",
                resources=core.ResourceRequirements(requests={"cpu": "100m"}),
            ),
            container("i", resources=core.ResourceRequirements(requests={"cpu": "2"})),
        ],
        overhead={"cpu": "50m"},
    )
    assert podresources.pod_requests(of) == {"cpu": 2150}


@pytest.mark.parametrize(
    ("milli", "shares", "quota"),
    [
        (0, 2, 0),
        (1, 2, 1000),
        (100, 102, 10_000),
        (1000, 1024, 100_000),
        (300_000, 262_144, 30_000_000),
    ],
)
def test_cgroup_numbers(milli: int, shares: int, quota: int) -> None:
    assert podresources.cpu_shares(milli) == shares
    assert podresources.cpu_quota(milli) == quota
    assert 1 <= podresources.cpu_weight(shares) <= 10_000


def with_limits(name: str, **limits: str) -> core.Container:
    return container(name, resources=core.ResourceRequirements(limits=limits))


def test_a_proc_mount_and_the_groups_of_an_image() -> None:
    unmasked = container("a", securityContext=core.SecurityContext(procMount="Unmasked"))
    strict = core.PodSecurityContext(supplementalGroupsPolicy="Strict", supplementalGroups=[7])
    of = pod("p", unmasked, container("b"), securityContext=strict)
    a, b = (security.of_container(of, each, 0, "", "") for each in of.spec.containers)
    assert (a.masked_paths, a.readonly_paths) == ([], [])
    assert "/proc/kcore" in b.masked_paths and "/proc/sys" in b.readonly_paths
    # CRI's SupplementalGroupsPolicy: Merge is 0, Strict 1.
    assert (b.supplemental_groups, b.supplemental_groups_policy) == ([7], 1)
    assert security.of_sandbox(of).supplemental_groups_policy == 1
    assert security.of_sandbox(pod("q")).supplemental_groups_policy == 0


@pytest.mark.parametrize(
    ("mode", "supported", "recursive"),
    [("Enabled", True, True), ("IfPossible", False, False), ("Disabled", True, False)],
)
def test_recursive_read_only_mounts(mode: str, supported: bool, recursive: bool) -> None:
    of = core.VolumeMount(name="v", mountPath="/v", readOnly=True, recursiveReadOnly=mode)
    assert make.mount(of, "/host", recursive_read_only=supported).recursive_read_only is recursive


def test_a_recursive_read_only_mount_that_cannot_be() -> None:
    of = core.VolumeMount(name="v", mountPath="/v", readOnly=True, recursiveReadOnly="Enabled")
    with pytest.raises(ValueError, match="recursive read-only mode"):
        make.mount(of, "/host", recursive_read_only=False)


def test_containers_share_the_limits_of_their_pod() -> None:
    of = pod("p", with_limits("a", memory="1Gi"), with_limits("b", cpu="0"))
    of.spec.resources = core.ResourceRequirements(
        limits={"cpu": "2", "memory": "4Gi", "hugepages-2Mi": "8Mi"}
    )
    a, b = of.spec.containers
    assert podresources.container_limits(of, a) == {
        "memory": "1Gi",
        "cpu": "2",
        "hugepages-2Mi": "8Mi",
    }
    assert podresources.container_limits(of, b) == of.spec.resources.limits
    got = make.resources(of, b, 8 << 30, False)
    assert (got.cpu_quota, got.memory_limit_in_bytes) == (200_000, 4 << 30)
    # Without a request of its own, a container's share of the processors is its limit.
    assert got.cpu_shares == 2048
    limit = core.ResourceFieldSelector(containerName="a", resource="limits.cpu")
    assert downward.resource(of, limit, "a", {"cpu": "7"}) == "2"
    limit = core.ResourceFieldSelector(containerName="a", resource="limits.memory", divisor="1Gi")
    assert downward.resource(of, limit, "a", {"memory": "64Gi"}) == "1"


def test_a_pod_has_a_limit_when_whoever_runs_has_one() -> None:
    def declared(*init: core.Container, **limits: str) -> bool:
        return podresources.all_declare(
            pod("p", with_limits("a", **limits), initContainers=list(init)), "cpu"
        )

    sidecar = with_limits("s", cpu="1")
    sidecar.restartPolicy = "Always"
    assert declared(cpu="1")
    assert not declared()
    assert not declared(with_limits("i"), cpu="1")
    assert not declared(with_limits("i"), sidecar, cpu="1")
    # An init container runs beside the sidecars before it, and their limits add up.
    assert declared(sidecar, with_limits("i"), cpu="1")
    zero = pod("p", with_limits("a"))
    zero.spec.resources = core.ResourceRequirements(limits={"cpu": "0"})
    assert not podresources.all_declare(zero, "cpu")


def test_overhead_adds_to_limits_that_there_are() -> None:
    of = pod("p", with_limits("a", memory="1Gi"), overhead={"cpu": "1", "memory": "1Gi"})
    assert podresources.pod_limits(of) == {"memory": 2 << 30}


def test_oom_scores() -> None:
    gi = 1 << 30
    burst = resources({"memory": "1Gi"})
    assert podresources.oom_score_adj(pod("p", burst), burst, 4 * gi) == 750
    none = resources()
    assert podresources.oom_score_adj(pod("p", none), none, 4 * gi) == 1000
    both = {"cpu": "1", "memory": "1Gi"}
    full = resources(both, both)
    assert podresources.oom_score_adj(pod("p", full), full, 4 * gi) == -997
    # What the pod requests beyond its containers is theirs in equal parts.
    shared = pod("p", burst, none)
    shared.spec.resources = core.ResourceRequirements(requests={"memory": "2Gi"})
    assert podresources.oom_score_adj(shared, burst, 4 * gi) == 625
    assert podresources.oom_score_adj(shared, none, 4 * gi) == 875


def test_pod_cgroups() -> None:
    of = pod("p", resources({"cpu": "1"}, {"cpu": "2"}))
    of.metadata.uid = "u"
    assert cgroups.pod_path("/k", of) == "/k/burstable/podu"
    assert cgroups.pod_limits(of) == cgroups.Limits(1024, 200_000, 0)
    assert cgroups.v2_files(cgroups.Limits(1024, 200_000, 1 << 20)) == {
        "cpu.weight": "39",
        "cpu.max": "200000 100000",
        "memory.max": "1048576",
    }
