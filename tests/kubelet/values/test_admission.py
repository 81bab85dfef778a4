"""Admission of pods by a node."""

from __future__ import annotations

import msgspec
import pytest
from tests.kubelet.harness import container, pod, resources

from trireme.api.core import v1 as core
from trireme.kubelet.admit import decide

VIEW = decide.NodeView("n", {"zone": "a", "size": "5"}, {"cpu": "2", "memory": "1Gi", "pods": "2"})


def affinity(operator: str, values: list[str], key: str = "zone") -> core.Affinity:
    return core.Affinity(
        nodeAffinity=core.NodeAffinity(
            requiredDuringSchedulingIgnoredDuringExecution=core.NodeSelector(
                nodeSelectorTerms=[
                    core.NodeSelectorTerm(
                        matchExpressions=[
                            core.NodeSelectorRequirement(key=key, operator=operator, values=values)
                        ]
                    )
                ]
            )
        )
    )


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, None),
        ({"nodeSelector": {"zone": "b"}}, "NodeAffinity"),
        ({"affinity": affinity("In", ["a"])}, None),
        ({"affinity": affinity("NotIn", ["a"])}, "NodeAffinity"),
        ({"affinity": affinity("Gt", ["4"], "size")}, None),
        ({"affinity": affinity("Lt", ["4"], "size")}, "NodeAffinity"),
        ({"os": core.PodOS(name="windows")}, "PodOSNotSupported"),
        ({"hostUsers": False}, "UnexpectedAdmissionError"),
        (
            {
                "securityContext": core.PodSecurityContext(
                    sysctls=[core.Sysctl(name="kernel.msgmax", value="1")]
                )
            },
            "SysctlForbidden",
        ),
    ],
)
def test_admission(spec: dict, reason: str | None) -> None:
    failure = decide.decide(pod("p", **spec), [], VIEW)
    assert (failure.reason if failure else None) == reason


def test_admission_counts_pods_ports_and_resources() -> None:
    port = container("a", ports=[core.ContainerPort(containerPort=1, hostPort=80)])
    assert decide.decide(pod("p", port), [pod("o", port)], VIEW).reason == "NodePorts"
    assert decide.decide(pod("p"), [pod("1"), pod("2")], VIEW).reason == "OutOfpods"
    big = resources({"memory": "600Mi"})
    assert decide.decide(pod("p", big), [pod("o", big)], VIEW).reason == "OutOfmemory"


def test_admission_counts_only_the_extended_resources_that_the_node_has() -> None:
    one = resources({"example.com/foo": "1"})
    assert decide.decide(pod("p", one), [], VIEW) is None
    has = msgspec.structs.replace(VIEW, allocatable={**VIEW.allocatable, "example.com/foo": "1"})
    assert decide.decide(pod("p", one), [], has) is None
    assert decide.decide(pod("p", one), [pod("o", one)], has).reason == "OutOfexample.com/foo"
    huge = resources({"hugepages-2Mi": "2Mi"})
    assert decide.decide(pod("p", huge), [], VIEW).reason == "OutOfhugepages-2Mi"
