"""Pods use an image that another pod pulled only with credentials that the registry took.

KEP-2535. The records of it outlive the kubelet, and hold no password.
"""

from __future__ import annotations

import base64
import json

import pytest

from tests.kubelet.harness import Node, container, play, pod, waiting_reason
from trireme.api.core import v1 as core
from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import RuntimeFailure

IMAGE = "r.example.org/team/app:v1"


async def put_secret(node: Node, name: str, password: str) -> None:
    auth = base64.b64encode(f"u:{password}".encode()).decode()
    document = json.dumps({"auths": {"r.example.org": {"auth": auth}}}).encode()
    secret = core.Secret(
        type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": document}
    )
    secret.metadata.name, secret.metadata.namespace = name, "default"
    await node.api.put(secret)


def using(name: str, *secrets: str, policy: str = "IfNotPresent") -> core.Pod:
    made = pod(name, container("main", image=IMAGE))
    made.spec.containers[0].imagePullPolicy = policy
    made.spec.imagePullSecrets = [core.LocalObjectReference(name=each) for each in secrets]
    return made


def registry(node: Node, monkeypatch: pytest.MonkeyPatch, *passwords: str) -> list[str]:
    """Takes these passwords, "" for none; returns what it is asked with."""
    pull, asked = node.cri.pull_image, []

    async def checked(
        image: model.ImageSpec, auth: model.AuthConfig | None, sandbox: model.SandboxConfig
    ) -> str:
        asked.append(auth.password if auth is not None else "")
        if asked[-1] not in passwords:
            raise RuntimeFailure("UNKNOWN", "authorization failed")
        return await pull(image, auth, sandbox)

    monkeypatch.setattr(node.cri, "pull_image", checked)
    return asked


async def runs(node: Node, made: core.Pod) -> None:
    await node.api.put(made)
    await node.until(lambda: node.phase(made.metadata.name) == "Running", 5)


async def waits(node: Node, made: core.Pod, reason: str = "ErrImagePull") -> None:
    await node.api.put(made)
    await node.until(lambda: waiting_reason(node, made.metadata.name) == reason, 5)


def test_a_pulled_image_is_for_those_with_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(node: Node) -> None:
        asked = registry(node, monkeypatch, "right")
        await put_secret(node, "right", "right")
        await put_secret(node, "copy", "right")
        await put_secret(node, "wrong", "wrong")
        await runs(node, using("first", "right"))
        await runs(node, using("same", "right"))
        await runs(node, using("copied", "copy"))
        assert asked == ["right"]
        await waits(node, using("without"))
        await waits(node, using("wrong", "wrong"))
        await waits(node, using("never", policy="Never"), "ErrImageNeverPull")
        await waits(node, using("never-wrong", "wrong", policy="Never"), "ErrImageNeverPull")
        assert set(asked[1:]) == {"", "wrong"}
        # It outlives the kubelet, and holds no password.
        await node.stop()
        await node.start()
        count = len(asked)
        await runs(node, using("later", "right"))
        await waits(node, using("later-without"))
        assert asked[count:] and "right" not in asked[count:]
        assert b"right" not in node.host.read("/var/lib/kubelet/image_manager/pulled").replace(
            b'\\"name\\":\\"right\\"', b""
        )
        # A rotated secret is the same one.
        await put_secret(node, "right", "rotated")
        await runs(node, using("rotated", "right"))

    play(story)


def test_an_image_pulled_without_credentials_is_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(node: Node) -> None:
        asked = registry(node, monkeypatch, "")
        await runs(node, using("first"))
        await runs(node, using("second"))
        assert asked == [""]

    play(story)


@pytest.mark.parametrize(
    ("policy", "allowed", "is_asked"),
    [
        ("NeverVerify", (), False),
        ("NeverVerifyPreloadedImages", (), False),
        ("AlwaysVerify", (), True),
        ("NeverVerifyAllowlistedImages", (), True),
        ("NeverVerifyAllowlistedImages", ("r.example.org/team/app",), False),
        ("NeverVerifyAllowlistedImages", ("r.example.org/team/*",), False),
        ("NeverVerifyAllowlistedImages", ("r.example.org/tea",), True),
    ],
)
def test_preloaded_images(
    policy: str, allowed: tuple[str, ...], is_asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(node: Node) -> None:
        node.cri.add_image(IMAGE)
        asked = registry(node, monkeypatch)
        if is_asked:
            await waits(node, using("one"))
        else:
            await runs(node, using("one"))
        assert bool(asked) == is_asked

    play(story, pull_verification=policy, preloaded_images=allowed)


def test_records_that_cannot_be_read_mean_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(node: Node) -> None:
        node.cri.add_image(IMAGE)
        node.host.make_dirs("/var/lib/kubelet/image_manager")
        node.host.write("/var/lib/kubelet/image_manager/pulled", b"{")
        await node.stop()
        asked = registry(node, monkeypatch)
        await node.start()
        await waits(node, using("one"))
        assert asked

    play(story)
