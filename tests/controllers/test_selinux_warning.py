"""Pods that cannot share a volume under SELinux are warned, both of them."""

from __future__ import annotations

from typing import Any

import msgspec
import prometheus_client
import pytest

from tests.controllers import harness, test_volumes
from trireme.api.core import v1 as core
from trireme.api.storage.v1.csidriver import CSIDriver
from trireme.controllers.storage import plan_selinux
from trireme.controllers.storage.plan_selinux import Usage
from trireme.kit.env import Env
from trireme.testing import virtual

DRIVER = "x.example.com"


def pod(name: str, *labels: str, policy: str = "", namespace: str = "default") -> core.Pod:
    """A container for each label, which all mount the claim c."""
    containers: list[dict[str, Any]] = []
    for number, label in enumerate(labels):
        parts = dict(zip(("user", "role", "type", "level"), label.split(":", 3), strict=True))
        containers.append(
            {
                "name": f"c{number}",
                "image": "i",
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                "securityContext": {"seLinuxOptions": parts} if any(parts.values()) else {},
            }
        )
    body = {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "containers": containers,
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
            "securityContext": {"seLinuxChangePolicy": policy} if policy else {},
        },
    }
    return msgspec.convert(body, core.Pod)


def volume() -> Any:
    spec: dict[str, Any] = {"csi": {"driver": DRIVER, "volumeHandle": "h"}, "hostPath": None}
    return test_volumes.volume("pv", **spec)


WHOLE, OTHER = "u:r:t:s0:c1,c2", "u:r:t:s0:c98,c99"


@pytest.mark.parametrize(
    ("of", "mounts", "usage"),
    [
        (pod("p", WHOLE), True, Usage(WHOLE, "MountOption", DRIVER)),
        (pod("p", WHOLE, WHOLE), True, Usage(WHOLE, "MountOption", DRIVER)),
        (pod("p", WHOLE), False, Usage("", "Recursive", DRIVER)),
        (pod("p", WHOLE, policy="Recursive"), True, Usage("", "Recursive", DRIVER)),
        (pod("p", ":::"), True, Usage("", "Recursive", DRIVER)),
    ],
)
def test_how_a_pod_uses_a_volume(of: core.Pod, mounts: bool, usage: Usage) -> None:
    found, several = plan_selinux.compute_usages(of, lambda name: volume(), lambda driver: mounts)
    assert found == {f"kubernetes.io/csi/{DRIVER}^h": usage}
    assert several == []


def test_two_labels_within_a_pod() -> None:
    of = pod("p", WHOLE, OTHER)
    found = plan_selinux.compute_usages(of, lambda name: volume(), lambda driver: True)
    assert found == ({}, ["v"])


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (WHOLE, WHOLE, False),
        (WHOLE, OTHER, True),
        # What is left out is the node's to fill in, but never the level.
        (WHOLE, ":::s0:c1,c2", False),
        (WHOLE, ":::s0:c98,c99", True),
        (":::s0:c1,c2", "", True),
        ("u:::", "v:::", True),
        ("u:::", ":r::", False),
    ],
)
def test_labels_that_differ(one: str, other: str, differ: bool) -> None:
    own, users = Usage(one, "MountOption", ""), {("ns", "b"): Usage(other, "MountOption", "")}
    assert bool(plan_selinux.conflicts(("ns", "a"), own, users)) is differ


def test_what_a_conflict_says() -> None:
    own = Usage("a:::", "MountOption", "")
    users = {("ns", "b"): Usage("b:::", "MountOption", "")}
    first, second = plan_selinux.conflicts(("ns", "a"), own, users)
    assert (first.reason, first.pod, second.pod) == (
        "SELinuxLabelConflict",
        ("ns", "a"),
        ("ns", "b"),
    )
    assert first.message == (
        'SELinuxLabel "a:::" conflicts with pod b that uses the same volume as this pod with '
        'SELinuxLabel "b:::". If both pods land on the same node, only one of them may access '
        "the volume."
    )
    users = {("secret", "hidden"): Usage("", "Recursive", "")}
    policy, _, _, _ = plan_selinux.conflicts(("ns", "a"), Usage(":::s0", "MountOption", ""), users)
    assert policy.reason == "SELinuxChangePolicyConflict"
    assert "secret" not in policy.message and "hidden" not in policy.message
    assert '"MountOption" conflicts with another pod' in policy.message


def test_both_pods_are_warned() -> None:
    async def story(env: Env) -> None:
        controllers = ("*", "selinux-warning-controller")
        async with harness.world(env, controllers=controllers) as w:
            await w.client.create(volume())
            await w.client.create(test_volumes.claim("c"))
            await w.client.create(pod("a", WHOLE))
            await w.client.create(pod("b", OTHER))
            await w.client.create(pod("two", WHOLE, OTHER))
            await w.until(lambda: "MultipleSELinuxLabels" in w.reasons("two"))
            await w.quiet(5.0)
            # The driver does not mount with labels.
            assert "SELinuxLabelConflict" not in w.reasons("a")
            spec = {"seLinuxMount": True, "attachRequired": False}
            body = {"metadata": {"name": DRIVER}, "spec": spec}
            await w.client.create(msgspec.convert(body, CSIDriver))
            for name in ("a", "b"):
                await w.until(lambda name=name: "SELinuxLabelConflict" in w.reasons(name))
            text = prometheus_client.generate_latest(env.metrics).decode()
            assert 'selinux_volume_conflict{pod1_name="a",pod1_namespace="default"' in text
            count = len(w.events("a"))
            await w.client.delete(core.Pod, "b", "default")
            await w.until(lambda: w.find(core.Pod, "b") is None)
            await w.quiet(5.0)
            text = prometheus_client.generate_latest(env.metrics).decode()
            assert "selinux_volume_conflict{" not in text
            assert len(w.events("a")) == count

    virtual.run(story)
