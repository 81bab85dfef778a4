"""ConfigMap, Secret, downward API and projected volumes are mounted read-only.

Whatever a volumeMount says: a container that could write there could put links in the way of the
kubelet, which writes to them as root. Upstream: pkg/kubelet/kubelet_pods.go (makeMounts) and each
volume plugin's ReadOnly attribute.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.kubelet.harness import Node, container, play, pod
from trireme.api.core import v1 as core
from trireme.kit import catalog
from trireme.kubelet.volumes import plugins
from trireme.kubelet.volumes.plugin import Plugin

FILES = [core.DownwardAPIVolumeFile(path="name", fieldRef=core.ObjectFieldSelector())]
FILES[0].fieldRef.fieldPath, FILES[0].fieldRef.apiVersion = "metadata.name", "v1"
SOURCES: dict[str, Any] = {
    "configMap": core.ConfigMapVolumeSource(name="conf"),
    "secret": core.SecretVolumeSource(secretName="conf"),
    "downwardAPI": core.DownwardAPIVolumeSource(items=FILES),
    "projected": core.ProjectedVolumeSource(
        sources=[core.VolumeProjection(configMap=core.ConfigMapProjection(name="conf"))]
    ),
    "emptyDir": core.EmptyDirVolumeSource(),
    "hostPath": core.HostPathVolumeSource(path="/etc"),
}
WRITABLE = ("emptyDir", "hostPath")
# What others store: the kubelet mounts it and writes none of its files.
MOUNTED = {"csi", "local", "nfs"}


def test_every_kind_of_volume_is_looked_at() -> None:
    fields = {plugin.field for plugin in catalog.instances(plugins, Plugin)}
    assert {*SOURCES, *MOUNTED} == fields


@pytest.mark.parametrize("sub_path", ["", "name"])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_volume_is_read_only_whatever_its_mount_says(kind: str, sub_path: str) -> None:
    async def story(node: Node) -> None:
        for source in (core.ConfigMap(data={"name": "1"}), core.Secret(data={"name": b"1"})):
            source.metadata.name, source.metadata.namespace = "conf", "default"
            await node.api.put(source)
        mount = core.VolumeMount(name="v", mountPath="/v", readOnly=False, subPath=sub_path)
        volume = core.Volume(name="v", **{kind: SOURCES[kind]})
        await node.api.put(pod("web", container("main", volumeMounts=[mount]), volumes=[volume]))
        await node.until(lambda: node.phase("web") == "Running")
        [made] = [m for m in node.cri.of_pod("web")[0].config.mounts if m.container_path == "/v"]
        assert made.readonly is (kind not in WRITABLE)
        # What the API shows is what was asked for, as upstream shows it.
        assert node.container("web").volumeMounts[0].readOnly is False

    play(story)


def test_a_mount_that_asks_for_it_is_read_only() -> None:
    async def story(node: Node) -> None:
        mount = core.VolumeMount(name="v", mountPath="/v", readOnly=True)
        volume = core.Volume(name="v", emptyDir=core.EmptyDirVolumeSource())
        await node.api.put(pod("web", container("main", volumeMounts=[mount]), volumes=[volume]))
        await node.until(lambda: node.phase("web") == "Running")
        [made] = [m for m in node.cri.of_pod("web")[0].config.mounts if m.container_path == "/v"]
        assert made.readonly

    play(story)
