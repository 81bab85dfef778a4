"""However much a pod writes where the kubelet reads, it takes a bounded part of it.

Termination messages: 4 KiB of a file, 2 KiB or 80 lines of a log, 12 KiB for all containers of a
pod together, shared equally. Environment files: 1 MiB, a line 64 KiB. Upstream:
pkg/kubelet/container/runtime.go (MaxPodTerminationMessageLogLength and its neighbours),
pkg/kubelet/status/status_manager.go (normalizeStatus), pkg/util/env.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kubelet.harness import Node, container, play, pod
from trireme.api.core import v1 as core
from trireme.kubelet.cri.model import ContainerState
from trireme.kubelet.env import envfile
from trireme.kubelet.observe.model import ObservedContainer, ObservedPod
from trireme.kubelet.status import compute
from trireme.kubelet.status.compute import Facts
from trireme.testing.fake_cri import Behaviour

KI = 1024


def reported(containers: int, init: int, message: str) -> list[str]:
    """The messages that the API sees of a pod whose containers all left ``message``, twice."""
    names = [f"c{i}" for i in range(containers)]
    of = pod("web", *[container(n) for n in names], restartPolicy="Always")
    of.spec.initContainers = [container(f"i{i}") for i in range(init)]
    names += [c.name for c in of.spec.initContainers]
    observed = ObservedPod(
        uid="u",
        containers=tuple(
            ObservedContainer(
                id=f"{name}-{attempt}", name=name, state=ContainerState.EXITED, message=message
            )
            for name in names
            for attempt in (1, 0)
        ),
    )
    status = compute.compute(Facts(pod=of, observed=observed, old=core.PodStatus(), now=0.0))
    again = compute.compute(Facts(pod=of, observed=observed, old=status, now=0.0))
    assert again.containerStatuses == status.containerStatuses
    found = []
    for one in (*status.containerStatuses, *status.initContainerStatuses):
        for state in (one.state, one.lastState):
            assert state.terminated is not None
            found.append(state.terminated.message)
    return found


@pytest.mark.parametrize(
    ("containers", "init", "length"), [(1, 0, 4096), (3, 0, 4096), (4, 0, 3072), (5, 7, 1024)]
)
def test_containers_share_what_their_messages_may_take(
    containers: int, init: int, length: int
) -> None:
    assert set(reported(containers, init, "x" * 4096)) == {"x" * length}


def test_a_letter_that_is_cut_is_shown_as_such() -> None:
    # 12288 / 5 is 2457: the last of the letters of two bytes is cut in half.
    assert set(reported(5, 0, "é" * 2048)) == {"é" * 1228 + "\ufffd"}


@given(st.integers(1, 30), st.text(max_size=4096))
def test_messages_of_a_pod_have_a_bound(containers: int, message: str) -> None:
    found = reported(containers, 0, message)[::2]
    assert sum(len(text.encode()) for text in found) <= 12 * KI + 3 * containers


def test_the_end_of_a_long_message_is_kept() -> None:
    async def story(node: Node) -> None:
        text = "a" * 100_000 + "b" * 4000
        node.cri.set_behaviour(
            "web", "main", Behaviour(run_seconds=1, exit_code=1, termination_message=text)
        )
        await node.api.put(pod("web", restartPolicy="Never"))
        await node.until(lambda: node.phase("web") == "Failed")
        assert node.container("web").state.terminated.message == text[-4096:]

    play(story)


def test_the_end_of_a_long_log_is_kept() -> None:
    async def story(node: Node) -> None:
        log = [f"{i:04d}" for i in range(500)]
        node.cri.set_behaviour("web", "main", Behaviour(run_seconds=1, exit_code=1, log=tuple(log)))
        main = container("main")
        main.terminationMessagePolicy = "FallbackToLogsOnError"
        await node.api.put(pod("web", main, restartPolicy="Never"))
        await node.until(lambda: node.phase("web") == "Failed")
        message = node.container("web").state.terminated.message
        assert message.split() == log[-80:]

    play(story)


def test_an_env_file_has_a_bound() -> None:
    assert envfile.value(b"A='" + b"x" * (64 * KI - 5) + b"'\n", "A") == "x" * (64 * KI - 5)
    with pytest.raises(ValueError, match="line too long"):
        envfile.value(b"A='" + b"x" * (64 * KI - 3) + b"'\n", "A")
    with pytest.raises(ValueError, match="larger than"):
        envfile.value(b"#\n" * (512 * KI) + b"A='1'\n", "A")
