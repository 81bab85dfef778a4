"""Which ports clash, which files overlap: what comparing all with all says."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from trireme.api.core.v1.pod import overlaps, warnings
from trireme.api.core.v1.pod.container import Container, ContainerPort
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.machinery.meta import ObjectMeta

PATHS = st.lists(
    st.sampled_from(["", "a", "a/b", "a/b/c", "ab", "a-b", "a/b-c", "b", "b/a", "a//b"]), max_size=9
)
PORTS = st.lists(
    st.builds(
        ContainerPort,
        containerPort=st.sampled_from([80, 81]),
        protocol=st.sampled_from(["TCP", "UDP"]),
        hostPort=st.sampled_from([0, 1, 2]),
        hostIP=st.sampled_from(["", "10.0.0.1", "10.0.0.2"]),
    ),
    max_size=8,
)


@given(PATHS)
def test_overlaps(paths: list[str]) -> None:
    def in_the_way(one: str, other: str) -> bool:
        one, other = one + "/", other + "/"
        return one != "/" and other != "/" and (one.startswith(other) or other.startswith(one))

    pairs = combinations(range(len(paths)), 2)
    expected = sorted((b, a) for a, b in pairs if in_the_way(paths[a], paths[b]))
    assert overlaps._pairs(paths) == expected


def how(one: ContainerPort, other: ContainerPort) -> str:
    """Upstream's words for two ports of one number and protocol, "" where they do not clash."""
    if (one.hostIP, one.hostPort) == (other.hostIP, other.hostPort):
        return "duplicate"
    if not one.hostPort or not other.hostPort:
        return "overlapping"
    if one.hostPort == other.hostPort and bool(one.hostIP) != bool(other.hostIP):
        return "dangerously ambiguous"
    return ""


def warned(ports: list[ContainerPort]) -> list[str]:
    spec = PodSpec(containers=[Container(name="c", ports=ports)])
    return warnings.pod(Pod(metadata=ObjectMeta(name="p"), spec=spec), None)


@given(PORTS)
def test_clashes(ports: list[ContainerPort]) -> None:
    at = "spec.containers[0].ports"
    expected = [
        f"{at}[{b}]: {how(ports[a], ports[b])} port definition with {at}[{a}]"
        for b in range(len(ports))
        for a in range(b)
        if ports[a].containerPort == ports[b].containerPort
        and ports[a].protocol == ports[b].protocol
        and how(ports[a], ports[b])
    ]
    assert [text for text in warned(ports) if "port definition" in text] == expected
