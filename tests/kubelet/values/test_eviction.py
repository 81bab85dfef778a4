"""Thresholds, the passage of pressure, the order of pods, messages."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.api.core import v1 as core
from trireme.kubelet import thresholds
from trireme.kubelet.eviction import plan
from trireme.kubelet.eviction.plan import ContainerUsage, Disk, Layout, PodUsage, State
from trireme.kubelet.thresholds import Observation, Threshold

GIB = 1 << 30


def of(signal: str, text: str, **more: Mapping[str, str]) -> Threshold:
    (found,) = thresholds.parse({signal: text}, enforce_allocatable=False, **more)
    return found


def pod(name: str, *, priority: int = 0, requests: dict | None = None, **spec: Any) -> core.Pod:
    made = core.Pod(
        spec=core.PodSpec(
            priority=priority,
            containers=[
                core.Container(
                    name="a", resources=core.ResourceRequirements(requests=requests or {})
                )
            ],
            **spec,
        )
    )
    made.metadata.name = made.metadata.uid = name
    return made


@pytest.mark.parametrize(
    ("maps", "error"),
    [
        (({"memory": "1Mi"},), "unsupported eviction signal memory"),
        (({"memory.available": "0"},), "must be positive"),
        (({"memory.available": "-5%"},), "must be >= 0%"),
        (({"memory.available": "101%"},), "must be <= 100%"),
        (({}, {"nodefs.available": "10%"}), "grace period must be specified for the soft"),
        (({}, {}, {"nodefs.available": "-1s"}), "must be a positive value"),
        (({}, {}, {"nodefs.available": "soon"}), "invalid duration"),
        (({}, {}, {"x": "1s"}), "unsupported eviction signal x"),
        (({}, {}, {}, {"nodefs.available": "0%"}), "must be positive"),
        (({}, {}, {}, {"nodefs.available": "-1"}), "negative eviction minimum reclaim"),
        (({"memory.available": "lots"},), "quantities must match"),
        (({"memory.available": "lots%"},), "lots"),
    ],
)
def test_what_is_no_threshold_is_refused(maps: tuple, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        thresholds.parse(*maps)


def test_zero_and_a_hundred_per_cent_turn_a_threshold_off() -> None:
    assert thresholds.parse({"nodefs.available": "0%", "imagefs.available": "100%"}) == ()


def test_the_hard_threshold_of_memory_counts_below_the_pods_cgroup_too() -> None:
    found = thresholds.parse(
        {"memory.available": "1Gi"}, {"memory.available": "2Gi"}, {"memory.available": "1m"}
    )
    assert [(t.signal, t.grace) for t in found] == [
        ("memory.available", 0),
        ("memory.available", 60),
        ("allocatableMemory.available", 0),
    ]


@pytest.mark.parametrize(
    ("image_fs", "split", "like"),
    [(False, False, "10%"), (True, False, "15%"), (True, True, "10%")],
)
def test_thresholds_of_containers_follow_their_file_system(
    image_fs: bool, split: bool, like: str
) -> None:
    given_ = thresholds.parse({**thresholds.HARD, "containerfs.available": "99%"})
    found = thresholds.with_container_fs(given_, image_fs=image_fs, split=split)
    (threshold,) = [t for t in found if t.signal == "containerfs.available"]
    assert threshold.value == of("nodefs.available", like).value


def test_a_soft_threshold_waits_for_its_grace_and_a_condition_for_its_transition() -> None:
    (soft,) = thresholds.parse({}, {"memory.available": "1Gi"}, {"memory.available": "30s"})
    low, high = {soft.signal: Observation(1, GIB)}, {soft.signal: Observation(GIB, GIB)}
    state = plan.advance(State(), [soft], low, 60, 0)
    assert (state.met, state.conditions) == ((), ("MemoryPressure",))
    state = plan.advance(state, [soft], low, 60, 29)
    assert state.met == ()
    state = plan.advance(state, [soft], low, 60, 30)
    assert state.met == (soft,)
    state = plan.advance(state, [soft], high, 60, 89)
    assert (state.met, state.conditions) == ((), ("MemoryPressure",))
    state = plan.advance(state, [soft], high, 60, 90)
    assert state.conditions == ()
    # And the grace begins anew.
    assert plan.advance(state, [soft], low, 60, 91).met == ()


def test_pressure_lasts_until_the_minimum_reclaim_is_there() -> None:
    (hard,) = thresholds.parse({"nodefs.available": "10"}, reclaim={"nodefs.available": "5"})

    def see(state: State, available: int) -> State:
        return plan.advance(state, [hard], {hard.signal: Observation(available, 100)}, 0.5, 0)

    assert see(State(), 12).met == ()
    state = see(State(), 9)
    assert see(state, 14).met == (hard,)
    assert see(state, 15).met == ()


def test_memory_is_the_most_urgent() -> None:
    disk, memory = of("nodefs.available", "1"), of("memory.available", "1")
    assert plan.most_urgent([disk, memory]) is memory


USAGES = {
    # (memory, rootfs, logs)
    "small": (100, 10, 0),
    "large": (900, 50, 5),
    "within": (300, 90, 90),
    "logging": (10, 0, 80),
}


def usages() -> dict[str, PodUsage]:
    return {
        name: PodUsage(
            containers=(
                ContainerUsage(name="a", memory=memory, rootfs=Disk(root), logs=Disk(logs)),
            ),
            processes=memory,
        )
        for name, (memory, root, logs) in USAGES.items()
    }


def pods() -> list[core.Pod]:
    return [
        pod("small"),
        pod("large", priority=5),
        pod("within", requests={"memory": "400", "ephemeral-storage": "500"}),
        pod("logging"),
        pod("unknown", priority=100),
    ]


@pytest.mark.parametrize(
    ("signal", "layout", "order"),
    [
        ("memory.available", Layout(), "unknown small logging large within"),
        ("nodefs.available", Layout(), "unknown logging small large within"),
        # The small one writes no logs: it uses no more than it asked for, and is not far below it.
        ("nodefs.available", Layout(image_fs=True), "unknown logging large small within"),
        ("imagefs.available", Layout(image_fs=True), "unknown small large logging within"),
        ("pid.available", Layout(), "within small logging large unknown"),
    ],
)
def test_the_order_of_pods(signal: str, layout: Layout, order: str) -> None:
    found = plan.rank(pods(), usages(), of(signal, "1"), layout)
    assert [p.metadata.name for p in found] == order.split()


def test_what_the_node_frees_before_pods_have_to_go() -> None:
    one, own, split = Layout(), Layout(image_fs=True), Layout(image_fs=True, split=True)
    for layout, signal, expected in (
        (one, "nodefs.available", (True, True)),
        (one, "imagefs.inodesFree", (True, True)),
        (own, "nodefs.available", (False, False)),
        (own, "imagefs.available", (True, True)),
        (own, "containerfs.available", (True, True)),
        (split, "nodefs.available", (True, False)),
        (split, "containerfs.available", (True, False)),
        (split, "imagefs.available", (False, True)),
        (one, "memory.available", (False, False)),
        (one, "pid.available", (False, False)),
    ):
        assert plan.reclaims(of(signal, "1"), layout) == expected, (layout, signal)


def test_the_message_says_what_was_short_and_who_used_more_than_it_asked_for() -> None:
    threshold = of("memory.available", "100Mi")
    usage = {"p": PodUsage(containers=(ContainerUsage(name="a", memory=200 << 20),))}
    text, annotations = plan.message(
        pod("p", requests={"memory": "64Mi"}),
        usage,
        "memory",
        [threshold],
        {"memory.available": Observation(50 << 20, GIB)},
    )
    assert text == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container a was using 200Mi, request is 64Mi, has larger consumption of memory. "
    )
    assert annotations == {
        "offending_containers": "a",
        "offending_containers_usage": "200Mi",
        "starved_resource": "memory",
    }


def test_the_message_without_statistics_of_the_pod() -> None:
    threshold = of("pid.available", "10%")
    text, annotations = plan.message(
        pod("p"), {}, "pids", [threshold], {"pid.available": Observation(5, 1000)}
    )
    assert text == "The node was low on resource: pids. Threshold quantity: 100, available: 5. "
    assert annotations == {}


def limited(size: str = "", medium: str = "", limit: str = "") -> core.Pod:
    source = core.EmptyDirVolumeSource(sizeLimit=size or None, medium=medium)
    made = pod("p", volumes=[core.Volume(name="v", emptyDir=source)])
    made.spec.containers[0].resources.limits = {"ephemeral-storage": limit} if limit else {}
    return made


@pytest.mark.parametrize(
    ("spec", "usage", "message"),
    [
        (
            {"size": "1Ki"},
            {"volume": 1025},
            'Usage of EmptyDir volume "v" exceeds the limit "1Ki". ',
        ),
        ({"size": "1Ki"}, {"volume": 1024}, ""),
        ({"size": "0"}, {"volume": 1024}, ""),
        (
            {"limit": "1Ki"},
            {"rootfs": 600, "logs": 200, "volume": 300},
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. ",
        ),
        ({"limit": "1Ki", "medium": "Memory"}, {"rootfs": 600, "logs": 200, "volume": 300}, ""),
        ({"limit": "1k"}, {"rootfs": 1001}, "exceeds the total limit of containers 1k. "),
    ],
)
def test_limits_of_local_storage(spec: dict, usage: dict, message: str) -> None:
    used = PodUsage(
        containers=(
            ContainerUsage(
                name="a", rootfs=Disk(usage.get("rootfs", 0)), logs=Disk(usage.get("logs", 0))
            ),
        ),
        volumes={"v": Disk(usage.get("volume", 0))},
    )
    made = limited(**spec)
    assert plan.has_limit(made)
    found = plan.over_limit(made, used, Layout())
    assert (found.message if found is not None else "").endswith(message)
    assert bool(found) == bool(message)


def test_one_container_over_its_own_limit() -> None:
    made = limited(limit="1Ki")
    other = core.Container(name="b")
    other.resources.limits = {"ephemeral-storage": "1Mi"}
    made.spec.containers.append(other)
    used = PodUsage(containers=(ContainerUsage(name="a", rootfs=Disk(2000)),))
    found = plan.over_limit(made, used, Layout())
    assert found is not None
    assert found.message == 'Container a exceeded its local ephemeral storage limit "1Ki". '
    # With a file system of its own for images, only logs count for a container.
    assert plan.over_limit(made, used, Layout(image_fs=True)) is None


NAMES = [f"p{number}" for number in range(6)]
NUMBERS = st.integers(0, 4)


@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.booleans()), min_size=6, max_size=6),
)
def test_the_order_is_that_of_comparing_two_at_a_time(
    drawn: list[tuple[int, int, int, bool]],
) -> None:
    """As upstream writes it: usage beyond the request, then priority, then the excess."""
    made, used = [], {}
    for name, (usage, request, priority, known) in zip(NAMES, drawn, strict=True):
        made.append(pod(name, priority=priority, requests={"memory": str(request)}))
        if known:
            used[name] = PodUsage(containers=(ContainerUsage(name="a", memory=usage),))
    facts = dict(zip(NAMES, drawn, strict=True))

    def compare(one: core.Pod, other: core.Pod) -> int:
        a, b = facts[one.metadata.name], facts[other.metadata.name]
        if not (a[3] and b[3]):
            return a[3] - b[3] or a[2] - b[2]
        exceeds = (b[0] > b[1]) - (a[0] > a[1])
        return exceeds or a[2] - b[2] or (b[0] - b[1]) - (a[0] - a[1])

    found = plan.rank(made, used, of("memory.available", "1"), Layout())
    expected = sorted(made, key=functools.cmp_to_key(compare))
    assert [p.metadata.name for p in found] == [p.metadata.name for p in expected]
