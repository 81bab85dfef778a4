"""What a pod takes of its node while it is resized: the largest of desired, allocated, in force."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.core import v1 as core
from trireme.domain import pod_resources, scheduling_requests

CPU = {"spec": "3", "allocated": "1", "actual": "2"}


def pod(
    cpu: dict[str, str], reason: str = "", *, sidecar: bool = False, level: bool = False
) -> core.Pod:
    own, allocated, actual = ({"cpu": cpu[key]} for key in ("spec", "allocated", "actual"))
    container = core.Container(
        name="c", resources=core.ResourceRequirements(requests={} if level else own)
    )
    status = core.ContainerStatus(
        name="c",
        allocatedResources={} if level else allocated,
        resources=core.ResourceRequirements(requests={} if level else actual),
    )
    made = core.Pod()
    if sidecar:
        container.restartPolicy = "Always"
        made.spec.initContainers, made.status.initContainerStatuses = [container], [status]
        made.spec.containers = [core.Container(name="main")]
        made.status.containerStatuses = [core.ContainerStatus(name="main")]
    else:
        made.spec.containers, made.status.containerStatuses = [container], [status]
    if level:
        made.spec.resources = core.ResourceRequirements(requests=own)
        made.status.allocatedResources = allocated
        made.status.resources = core.ResourceRequirements(requests=actual)
    if reason:
        condition = core.PodCondition(type="PodResizePending", status="True", reason=reason)
        made.status.conditions = [condition]
    return made


@pytest.mark.parametrize("place", [{}, {"sidecar": True}, {"level": True}])
@pytest.mark.parametrize(
    ("reason", "cpu", "expected"),
    [
        ("", CPU, 3000),
        ("Deferred", CPU, 3000),
        ("Infeasible", CPU, 2000),
        ("Infeasible", {**CPU, "allocated": "2500m"}, 2500),
        ("", {"spec": "1", "allocated": "1", "actual": "2"}, 2000),
        ("", {"spec": "1", "allocated": "2", "actual": "1"}, 2000),
        ("", {"spec": "1", "allocated": "1", "actual": "1"}, 1000),
    ],
)
def test_scheduler_and_quota_count_the_same(
    place: dict[str, Any], reason: str, cpu: dict[str, str], expected: int
) -> None:
    resized = pod(cpu, reason, **place)
    desired = scheduling_requests.of(resized)
    taken = scheduling_requests.of_running(resized, desired)
    assert taken.resources == {"cpu": expected}
    assert pod_resources.requests(resized)["cpu"].milli_value() == expected
    if len(set(cpu.values())) == 1:
        assert taken is desired
