"""``runAsNonRoot``: a container that would run as root, or might, does not start.

An image that names no user runs as root; one that names a user by name cannot be verified. The
texts are upstream's: pkg/kubelet/kuberuntime/security_context_others.go (verifyRunAsNonRoot).
"""

from __future__ import annotations

import pytest

from tests.kubelet.harness import Node, container, play, pod
from trireme.api.core import v1 as core
from trireme.kubelet.sync import security
from trireme.kubelet.sync.security import NotAllowed

ROOT = "container has runAsNonRoot and image will run as root"
NAMED = (
    "container has runAsNonRoot and image has non-numeric user (app), "
    "cannot verify user is non-root"
)
RANGE = (
    "container has runAsNonRoot and image has an invalid user id ({}). (Must be 1-(2147483647)): "
    "must be between 0 and 2147483647, inclusive"
)
OWN = "container's runAsUser breaks non-root policy"


def context(
    of_pod: tuple[bool | None, int | None], own: tuple[bool | None, int | None]
) -> tuple[core.Pod, core.Container]:
    """A pod with (runAsNonRoot, runAsUser) of its own and of its container."""
    spec = container(
        "main", securityContext=core.SecurityContext(runAsNonRoot=own[0], runAsUser=own[1])
    )
    made = pod(
        "web",
        spec,
        securityContext=core.PodSecurityContext(runAsNonRoot=of_pod[0], runAsUser=of_pod[1]),
    )
    made.metadata.uid = "u"
    return made, spec


@pytest.mark.parametrize(
    ("of_pod", "own", "uid", "user", "refused"),
    [
        ((True, None), (None, None), None, "", ROOT),
        ((True, None), (None, None), 0, "", ROOT),
        ((None, None), (True, None), None, "", ROOT),
        ((True, None), (None, None), None, "app", NAMED),
        ((True, None), (None, None), -1, "", RANGE.format(-1)),
        ((True, None), (None, None), 2**31, "", RANGE.format(2**31)),
        ((True, None), (None, 0), 7, "", OWN),
        ((True, 0), (None, None), 7, "", OWN),
        ((True, 7), (None, 0), 7, "", OWN),
        ((True, None), (None, None), 7, "", ""),
        ((True, None), (None, None), 7, "app", ""),
        ((True, 7), (None, None), None, "", ""),
        ((True, 7), (None, None), None, "app", ""),
        ((True, None), (False, None), None, "", ""),
        ((None, None), (None, None), None, "", ""),
        ((False, None), (None, 0), 0, "", ""),
    ],
)
def test_who_may_run(of_pod: tuple, own: tuple, uid: int | None, user: str, refused: str) -> None:
    made, spec = context(of_pod, own)
    if refused:
        with pytest.raises(NotAllowed) as problem:
            security.of_container(made, spec, uid, user, "/seccomp")
        assert str(problem.value) == f'{refused} (pod: "web_default(u)", container: main)'
    else:
        security.of_container(made, spec, uid, user, "/seccomp")


@pytest.mark.parametrize(
    ("uid", "user", "run_as"),
    [(None, "", (0, "")), (None, "app", (None, "app")), (7, "", (7, "")), (7, "app", (7, ""))],
)
def test_the_runtime_is_told_whom_the_image_names(
    uid: int | None, user: str, run_as: tuple[int | None, str]
) -> None:
    made, spec = context((None, None), (None, None))
    found = security.of_container(made, spec, uid, user, "/seccomp")
    assert (found.run_as_user, found.run_as_username) == run_as


def test_the_container_waits_and_the_pod_says_why() -> None:
    async def story(node: Node) -> None:
        made, spec = context((True, None), (None, None))
        await node.api.put(pod("web", spec, securityContext=made.spec.securityContext))

        def waiting() -> core.ContainerStateWaiting | None:
            statuses = node.api.pod("web").status.containerStatuses
            state = statuses[0].state.waiting if statuses else None
            ours = state is not None and state.reason == "CreateContainerConfigError"
            return state if ours else None

        state = await node.until(waiting)
        assert state.message.startswith(f'{ROOT} (pod: "web_default(')
        assert node.cri.of_pod("web") == []
        assert f"Error: {state.message}" in node.api.messages("web", "Failed")
        assert node.phase("web") == "Pending"

    play(story)
