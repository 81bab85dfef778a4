"""``secret``: a Secret's keys as files in memory. Rules: concepts/configuration/secret."""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet.volumes import files, payload
from trireme.kubelet.volumes.plugin import Mounting, Plugin, VolumeError


async def mount(mounting: Mounting, volume: core.Volume) -> str:
    source = volume.secret
    assert source is not None
    found = await mounting.objects.secret(mounting.pod.metadata.namespace, source.secretName)
    if found is None:
        if not source.optional:
            raise VolumeError(f'secret "{source.secretName}" not found')
        found = core.Secret()
    mode = payload.DEFAULT_MODE if source.defaultMode is None else source.defaultMode
    content = payload.of_secret(found, source.items, mode, optional=bool(source.optional))
    return await files.publish(mounting, content, in_memory=True)


PLUGIN = Plugin("secret", "kubernetes.io~secret", mount, read_only=True)
