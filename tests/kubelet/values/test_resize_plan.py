"""In which order a resize changes cgroups, and what it restarts: limits of containers never exceed
those of their pod, whatever grows and shrinks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kubelet.harness import container, pod

from trireme.api.core import v1 as core
from trireme.kubelet.cgroups import plan as cgroups
from trireme.kubelet.cgroups.plan import Limits
from trireme.kubelet.cri.model import ContainerState
from trireme.kubelet.observe.model import ObservedContainer, ObservedPod
from trireme.kubelet.resize import allocation, plan
from trireme.kubelet.resize.allocation import Record
from trireme.kubelet.resize.plan import PodLimits

AMOUNTS = st.tuples(st.integers(1, 8), st.integers(1, 8))


def sized(sizes: list[tuple[int, int]]) -> core.Pod:
    containers = []
    for index, (cpu, memory) in enumerate(sizes):
        amounts = {"cpu": f"{cpu}00m", "memory": f"{memory}Mi"}
        resources = core.ResourceRequirements(requests=amounts, limits=amounts)
        containers.append(container(f"c{index}", resources=resources))
    return pod("p", *containers)


def observed(of: core.Pod) -> ObservedPod:
    running = [
        ObservedContainer(id=f"id-{c.name}", name=c.name, state=ContainerState.RUNNING)
        for c in of.spec.containers
    ]
    return ObservedPod(uid="u", containers=tuple(running))


@settings(deadline=None)
@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=4))
def test_no_step_breaks_the_limits_and_all_together_reach_them(
    sizes: list[tuple[tuple[int, int], tuple[int, int]]],
) -> None:
    old, new = sized([one for one, _ in sizes]), sized([other for _, other in sizes])
    record = Record(allocated=allocation.resources_of(old)).resized(new)
    resize = plan.plan(new, observed(new), record.actuated)
    now, desired = cgroups.pod_limits(old), cgroups.pod_limits(new)
    limits = {
        "cpu": {c.name: int(c.resources.limits["cpu"][:-1]) for c in old.spec.containers},
        "memory": {
            c.name: int(c.resources.limits["memory"][:-2]) << 20 for c in old.spec.containers
        },
    }
    for step in plan.steps(resize, now, desired):
        if isinstance(step, PodLimits):
            written = {
                name: v
                for name in ("cpu_shares", "cpu_quota", "memory")
                if (v := getattr(step.limits, name))
            }
            now = Limits(
                **{**{n: getattr(now, n) for n in ("cpu_shares", "cpu_quota", "memory")}, **written}
            )
        else:
            # An update states both resources: what it does not change stays as it is.
            for resource in ("cpu", "memory"):
                if resource != step.resource:
                    assert step.limits[resource] == limits[resource][step.name]
                limits[resource][step.name] = step.limits[resource]
        assert sum(limits["memory"].values()) <= now.memory
        assert sum(limits["cpu"].values()) * 100 <= now.cpu_quota
    assert now == desired
    assert sum(limits["memory"].values()) == desired.memory
    assert sum(limits["cpu"].values()) * 100 == desired.cpu_quota


def test_the_pod_grows_before_its_containers_and_shrinks_after_them() -> None:
    old, new = sized([(1, 8), (4, 1)]), sized([(4, 2), (2, 4)])
    record = Record(allocated=allocation.resources_of(old)).resized(new)
    resize = plan.plan(new, observed(new), record.actuated)
    steps = plan.steps(resize, cgroups.pod_limits(old), cgroups.pod_limits(new))
    assert [step.name if isinstance(step, plan.Update) else step.limits for step in steps] == [
        "c0",
        "c1",
        Limits(memory=6 << 20),
        Limits(cpu_quota=60_000),
        Limits(cpu_shares=614),
        "c1",
        "c0",
    ]


def test_what_is_not_running_needs_no_update() -> None:
    old, new = sized([(1, 1)]), sized([(2, 2)])
    record = Record(allocated=allocation.resources_of(old)).resized(new)
    assert plan.plan(new, ObservedPod(uid="u"), record.actuated) == plan.Resize()


def test_a_second_resize_starts_from_what_is_in_force() -> None:
    first, second, third = sized([(1, 1)]), sized([(2, 2)]), sized([(1, 1)])
    record = Record(allocated=allocation.resources_of(first)).resized(second).resized(third)
    assert plan.plan(third, observed(third), record.actuated) == plan.Resize()
    record = Record(allocated=allocation.resources_of(first)).resized(second)
    record = record.started("c0", second.spec.containers[0].resources).resized(third)
    assert len(plan.plan(third, observed(third), record.actuated).updates) == 2


def test_a_limit_that_is_new_counts_as_lower() -> None:
    old, new = sized([(1, 1)]), sized([(1, 2)])
    old.spec.containers[0].resources.limits = {}
    record = Record(allocated=allocation.resources_of(old)).resized(new)
    updates = plan.plan(new, observed(new), record.actuated).updates
    assert [(u.resource, u.lower_limit) for u in updates] == [("memory", 2 << 20), ("cpu", 100)]
    assert plan.shrinks_pod(Limits(), cgroups.pod_limits(new))
