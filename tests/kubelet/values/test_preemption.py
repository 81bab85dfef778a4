"""Which pods make room for a critical one; which end together in a shutdown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.api.core import v1 as core
from trireme.kubelet import podresources
from trireme.kubelet.admit import preempt
from trireme.kubelet.shutdown import plan


def pod(
    name: str, cpu: str = "", memory: str = "", *, priority: int = 0, guaranteed: bool = False
) -> core.Pod:
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    resources = core.ResourceRequirements(requests=requests, limits=requests if guaranteed else {})
    made = core.Pod(
        spec=core.PodSpec(
            priority=priority, containers=[core.Container(name="a", resources=resources)]
        )
    )
    made.metadata.name = made.metadata.uid = name
    return made


CRITICAL = pod("critical", priority=2_000_000_000)
PODS = [
    pod("best-effort"),
    pod("small", "100m", "100Mi"),
    pod("large", "1", "1Gi"),
    pod("guaranteed", "2", "2Gi", guaranteed=True),
    pod("other-critical", "4", priority=2_000_000_000),
]
MIB = 1 << 20


@pytest.mark.parametrize(
    ("lacking", "names"),
    [
        ({}, []),
        ({"pods": 1}, ["best-effort"]),
        ({"pods": 2}, ["best-effort", "small"]),
        ({"memory": 50 * MIB}, ["small"]),
        ({"memory": 200 * MIB}, ["large"]),
        ({"memory": 1100 * MIB}, ["large", "small"]),
        ({"memory": 1200 * MIB}, ["guaranteed"]),
        ({"cpu": 1050, "memory": 1 * MIB}, ["large", "small"]),
        ({"cpu": 3100}, ["large", "small", "guaranteed"]),
        ({"cpu": 3200}, None),
        ({"gpu": 1}, None),
    ],
)
def test_as_few_and_as_small_as_will_do(lacking: dict[str, int], names: list[str] | None) -> None:
    found = preempt.preempt(CRITICAL, PODS, lacking)
    assert (None if found is None else [p.metadata.name for p in found]) == names


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=6),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_what_is_preempted_is_enough_and_no_class_gives_in_vain(
    sizes: list[tuple[int, int]], cpu: int, memory: int
) -> None:
    pods = [pod(f"p{n}", str(c), str(m)) for n, (c, m) in enumerate(sizes)]
    lacking = {name: many for name, many in (("cpu", cpu * 1000), ("memory", memory)) if many}
    found = preempt.preempt(CRITICAL, pods, lacking)

    def freed(of: list[core.Pod]) -> bool:
        sums = [podresources.pod_requests(p) for p in of]
        return all(sum(s.get(n, 0) for s in sums) >= many for n, many in lacking.items())

    assert (found is not None) == freed(pods)
    if found:
        # Without the last one it would not have been enough.
        assert freed(found) and not freed(found[:-1])


def test_groups_of_a_shutdown() -> None:
    periods = ((0, 60), (100, 30), (2_000_000_000, 10))
    pods = [pod(str(n), priority=n) for n in (-5, 0, 99, 100, 2_000_000_000, 2_000_001_000)]
    found = [(g.seconds, [p.metadata.name for p in g.pods]) for g in plan.groups(periods, pods)]
    assert found == [
        (60, ["-5", "0", "99"]),
        (30, ["100"]),
        (10, ["2000000000", "2000001000"]),
    ]
    assert [g.seconds for g in plan.groups(periods, pods[:1])] == [60]
    (group,) = plan.groups(periods, pods[:1])
    pods[0].spec.terminationGracePeriodSeconds = 5
    assert plan.grace_seconds(pods[0], group) == 5
    pods[0].spec.terminationGracePeriodSeconds = 500
    assert plan.grace_seconds(pods[0], group) == 60
