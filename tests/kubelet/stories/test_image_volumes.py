"""Volumes whose content is an image: mounted by the runtime, or on the host where it cannot."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.kubelet.harness import Node, container, play, pod, waiting_reason

from trireme.api.core import v1 as core
from trireme.kubelet.config import EvictionConfig
from trireme.kubelet.cri import images


def with_image(name: str, image: str = "job", policy: str = "IfNotPresent") -> core.Pod:
    volume = core.Volume(
        name="data", image=core.ImageVolumeSource(reference=image, pullPolicy=policy)
    )
    mount = core.VolumeMount(name="data", mountPath="/data")
    return pod(name, container("main", volumeMounts=[mount]), volumes=[volume])


def mount_of(node: Node, name: str) -> Any:
    config = node.cri.running(name, "main").config
    return next(m for m in config.mounts if m.container_path == "/data")


def test_the_host_mounts_it_where_the_runtime_cannot_and_takes_it_down_at_the_end() -> None:
    async def story(node: Node) -> None:
        await node.api.put(with_image("web"))
        await node.until(lambda: node.condition("web", "Ready") == "True", 10)
        mount = mount_of(node, "web")
        assert mount.readonly and mount.image is None
        assert mount.host_path.endswith("/volumes/kubernetes.io~image/data")
        assert node.host.is_mounted(mount.host_path)
        assert len(node.cri.views) == 1
        await node.api.delete_pod("web", grace=1)
        await node.until(lambda: not node.api.has_pod("web"), 40)
        await node.until(lambda: node.host.list("/var/lib/kubelet/pods") == [], 5)
        assert not node.host.is_mounted(mount.host_path) and not node.cri.views

    play(story)


def test_the_runtime_mounts_it_where_it_can() -> None:
    async def story(node: Node) -> None:
        node.cri.image_mounts = True
        await node.api.put(with_image("web"))
        await node.until(lambda: node.condition("web", "Ready") == "True", 10)
        mount = mount_of(node, "web")
        assert mount.readonly and mount.host_path == ""
        assert mount.image.user_specified_image == "job"
        assert not node.cri.views

    play(story)


def test_it_is_pulled_by_its_own_policy() -> None:
    async def story(node: Node) -> None:
        await node.api.put(with_image("always", policy="Always"))
        await node.until(lambda: node.condition("always", "Ready") == "True", 10)
        assert 'Pulling image "job"' in node.api.messages("always", "Pulling")
        await node.api.put(with_image("never", "absent", policy="Never"))
        await node.until(lambda: waiting_reason(node, "never") == "ErrImageNeverPull", 10)
        node.cri.pull_errors["absent:latest"] = "not found"
        await node.api.put(with_image("none", "absent"))
        await node.until(lambda: waiting_reason(node, "none") == "ImagePullBackOff", 10)
        assert "Error: ErrImagePull" in node.api.messages("none", "Failed")

    play(story)


def test_a_runtime_that_can_do_neither_is_named() -> None:
    async def story(node: Node) -> None:
        node.cri.view_problem = "the container runtime cannot mount images"
        await node.api.put(with_image("web"))
        await node.until(lambda: waiting_reason(node, "web") == "ErrImageVolumeMount", 10)
        message = node.container("web").state.waiting.message
        assert message.endswith("the container runtime cannot mount images")
        await node.api.delete_pod("web", grace=1)
        await node.until(lambda: node.host.list("/var/lib/kubelet/pods") == [], 40)

    play(story)


def test_the_image_of_a_volume_is_in_use() -> None:
    async def story(node: Node) -> None:
        await node.api.put(with_image("web", image="job"))
        await node.until(lambda: node.condition("web", "Ready") == "True", 10)
        disk = node.host.disk
        # Beyond 85 %, at which images are collected, and before pods are evicted.
        node.host.disk = msgspec.structs.replace(disk, available=disk.capacity * 14 // 100)
        await node.env.clock.sleep(900)
        assert await node.cri.image_status("side:latest") is None
        assert await node.cri.image_status("web:latest") is not None
        assert await node.cri.image_status("job:latest") is not None
        assert node.phase("web") == "Running"

    config = EvictionConfig(hard={})
    play(story, eviction=config)


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("containerd", "1.6.20~ds1", False),
        ("containerd", "v2.0.5", False),
        ("containerd", "v2.1.0-rc.1", True),
        ("containerd", "2.2.0", True),
        ("cri-o", "1.30.9", False),
        ("cri-o", "1.31.0", True),
        ("other", "9.9", False),
        ("containerd", "", False),
    ],
)
def test_which_runtimes_mount_images(name: str, version: str, expected: bool) -> None:
    assert images.mounts(name, version) is expected
