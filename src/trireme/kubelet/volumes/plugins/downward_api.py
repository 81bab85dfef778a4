"""``downwardAPI``: fields of the pod as files. Rules: concepts/workloads/pods/downward-api."""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet.volumes import files, payload
from trireme.kubelet.volumes.plugin import Mounting, Plugin


async def mount(mounting: Mounting, volume: core.Volume) -> str:
    source = volume.downwardAPI
    assert source is not None
    mode = payload.DEFAULT_MODE if source.defaultMode is None else source.defaultMode
    content = payload.of_downward(mounting.pod, source.items, mode, mounting.allocatable)
    return await files.publish(mounting, content)


PLUGIN = Plugin("downwardAPI", "kubernetes.io~downward-api", mount, read_only=True)
