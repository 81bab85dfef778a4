"""``configMap``: a ConfigMap's keys as files. Rules: concepts/storage/volumes#configmap."""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet.volumes import files, payload
from trireme.kubelet.volumes.plugin import Mounting, Plugin, VolumeError


async def mount(mounting: Mounting, volume: core.Volume) -> str:
    source = volume.configMap
    assert source is not None
    namespace = mounting.pod.metadata.namespace
    found = await mounting.objects.config_map(namespace, source.name)
    if found is None:
        if not source.optional:
            raise VolumeError(f'configmap "{source.name}" not found')
        found = core.ConfigMap()
    mode = payload.DEFAULT_MODE if source.defaultMode is None else source.defaultMode
    content = payload.of_config_map(found, source.items, mode, optional=bool(source.optional))
    return await files.publish(mounting, content)


PLUGIN = Plugin("configMap", "kubernetes.io~configmap", mount, read_only=True)
