"""Images, configuration and tokens of a pod's containers."""

from __future__ import annotations

import pytest
from tests.kubelet.harness import Node, container, play, pod, waiting_message, waiting_reason

from trireme.api.core import v1 as core


def test_a_pull_secret_of_another_shape_is_a_pull_failure() -> None:
    async def story(node: Node) -> None:
        secret = core.Secret(
            type="kubernetes.io/dockerconfigjson",
            data={".dockerconfigjson": b'{"auths": {"docker.io": ["u", "p"]}}'},
        )
        secret.metadata.name, secret.metadata.namespace = "regcred", "default"
        await node.api.put(secret)
        private = pod("web", container("main", image="private"))
        private.spec.imagePullSecrets = [core.LocalObjectReference(name="regcred")]
        await node.api.put(private)
        await node.until(lambda: waiting_reason(node, "web") == "ErrImagePull", 5)
        assert 'pull secret "regcred" cannot be read' in "".join(node.api.messages("web", "Failed"))

    play(story)


def test_pull_failures_show_their_reasons() -> None:
    async def story(node: Node) -> None:
        node.cri.pull_errors["nope:latest"] = "not found"
        await node.api.put(pod("web", container("main", image="nope")))
        never = container("main", image="absent")
        never.imagePullPolicy = "Never"
        await node.api.put(pod("never", never))
        await node.api.put(pod("bad", container("main", image="NOT VALID")))
        await node.until(lambda: waiting_reason(node, "web") == "ErrImagePull", 5)
        await node.until(lambda: waiting_reason(node, "web") == "ImagePullBackOff", 5)
        await node.until(lambda: waiting_reason(node, "never") == "ErrImageNeverPull", 5)
        await node.until(lambda: waiting_reason(node, "bad") == "InvalidImageName", 5)
        del node.cri.pull_errors["nope:latest"]
        await node.until(lambda: node.phase("web") == "Running", 60)
        assert node.phase("never") == "Pending"

    play(story)


def test_config_maps_reach_files_and_environment() -> None:
    async def story(node: Node) -> None:
        volume = core.Volume(name="conf", configMap=core.ConfigMapVolumeSource(name="conf"))
        spec = container(
            "main",
            volumeMounts=[core.VolumeMount(name="conf", mountPath="/conf")],
            env=[
                core.EnvVar(
                    name="COLOR",
                    valueFrom=core.EnvVarSource(
                        configMapKeyRef=core.ConfigMapKeySelector(name="conf", key="color")
                    ),
                )
            ],
            args=["--color=$(COLOR)"],
        )
        await node.api.put(pod("web", spec, volumes=[volume]))
        await node.until(lambda: node.api.messages("web", "FailedMount"), 5)
        assert node.api.messages("web", "FailedMount")[0] == (
            'MountVolume.SetUp failed for volume "conf" : configmap "conf" not found'
        )
        conf = core.ConfigMap(data={"color": "red"})
        conf.metadata.name, conf.metadata.namespace = "conf", "default"
        await node.api.put(conf)
        await node.until(lambda: node.phase("web") == "Running", 30)
        main = node.cri.running("web", "main")
        assert main.config.args == ["--color=red"]
        path = next(m.host_path for m in main.config.mounts if m.container_path == "/conf")
        assert node.host.read(f"{path}/color") == b"red"
        conf.data = {"color": "blue", "size": "9"}
        await node.api.put(conf)
        await node.until(lambda: node.host.read(f"{path}/color") == b"blue", 100)
        assert node.host.read(f"{path}/size") == b"9"

    play(story)


def test_a_missing_env_source_is_a_config_error() -> None:
    async def story(node: Node) -> None:
        spec = container(
            "main", envFrom=[core.EnvFromSource(secretRef=core.SecretEnvSource(name="gone"))]
        )
        await node.api.put(pod("web", spec))
        await node.until(lambda: waiting_reason(node, "web") == "CreateContainerConfigError", 5)
        assert waiting_message(node, "web") == 'secret "gone" not found'

    play(story)


def test_tokens_are_renewed() -> None:
    async def story(node: Node) -> None:
        volume = core.Volume(
            name="api",
            projected=core.ProjectedVolumeSource(
                sources=[
                    core.VolumeProjection(
                        serviceAccountToken=core.ServiceAccountTokenProjection(
                            path="token", expirationSeconds=600
                        )
                    )
                ]
            ),
        )
        spec = container("main", volumeMounts=[core.VolumeMount(name="api", mountPath="/api")])
        await node.api.put(pod("web", spec, volumes=[volume]))
        await node.until(lambda: node.phase("web") == "Running", 5)
        mounts = node.cri.running("web", "main").config.mounts
        path = next(m.host_path for m in mounts if m.container_path == "/api") + "/token"
        first = node.host.read(path)
        await node.env.clock.sleep(400)
        assert node.host.read(path) == first
        await node.env.clock.sleep(200)
        assert node.host.read(path) != first

    play(story)


def test_unsupported_volumes_are_refused_by_name() -> None:
    async def story(node: Node) -> None:
        volume = core.Volume(name="v", cephfs=core.CephFSVolumeSource(monitors=["m"]))
        mounts = [core.VolumeMount(name="v", mountPath="/v")]
        await node.api.put(pod("web", container("main", volumeMounts=mounts), volumes=[volume]))
        await node.until(lambda: node.api.messages("web", "FailedMount"), 5)
        assert "no plugin for cephfs volumes" in node.api.messages("web", "FailedMount")[0]

    play(story)


def test_a_volume_that_no_container_uses_is_not_set_up() -> None:
    async def story(node: Node) -> None:
        lost = core.ConfigMapVolumeSource(name="there-is-none")
        await node.api.put(pod("web", volumes=[core.Volume(name="v", configMap=lost)]))
        await node.until(lambda: node.condition("web", "Ready") == "True", 10)
        assert not node.api.messages("web", "FailedMount")

    play(story)


@pytest.mark.parametrize(("parallel", "seconds"), [(1, 30), (2, 20), (0, 10)])
def test_so_many_images_are_pulled_at_a_time(parallel: int, seconds: int) -> None:
    async def story(node: Node) -> None:
        node.cri.pull_seconds = 10
        began = node.env.clock.monotonic()
        names = ("one", "two", "three")
        for name in names:
            await node.api.put(pod(name, container("main", image=f"registry/{name}")))
        await node.until(lambda: all(node.phase(name) == "Running" for name in names), 60)
        assert seconds <= node.env.clock.monotonic() - began < seconds + 3

    play(story, parallel_pulls=parallel)
