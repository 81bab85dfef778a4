"""``projected``: several sources in one directory, service-account tokens among them.

Rules: concepts/storage/projected-volumes; KEP-1205 (bound tokens). clusterTrustBundle and
podCertificate sources are refused by name.
"""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet.volumes import files, ownership, payload
from trireme.kubelet.volumes.atomic import File
from trireme.kubelet.volumes.plugin import Mounting, Plugin, VolumeError

TOKEN_MODE = 0o600
DEFAULT_EXPIRATION = 3600


async def mount(mounting: Mounting, volume: core.Volume) -> str:
    source = volume.projected
    assert source is not None
    mode = payload.DEFAULT_MODE if source.defaultMode is None else source.defaultMode
    content: dict[str, File] = {}
    for projection in source.sources:
        content.update(await _files(mounting, projection, mode))
    return await files.publish(mounting, content, in_memory=True)


async def _files(
    mounting: Mounting, projection: core.VolumeProjection, mode: int
) -> dict[str, File]:
    namespace = mounting.pod.metadata.namespace
    if projection.configMap is not None:
        source = projection.configMap
        found = await mounting.objects.config_map(namespace, source.name)
        if found is None and not source.optional:
            raise VolumeError(f'configmap "{source.name}" not found')
        return payload.of_config_map(
            found or core.ConfigMap(), source.items, mode, optional=bool(source.optional)
        )
    if projection.secret is not None:
        source_secret = projection.secret
        secret = await mounting.objects.secret(namespace, source_secret.name)
        if secret is None and not source_secret.optional:
            raise VolumeError(f'secret "{source_secret.name}" not found')
        return payload.of_secret(
            secret or core.Secret(),
            source_secret.items,
            mode,
            optional=bool(source_secret.optional),
        )
    if projection.downwardAPI is not None:
        return payload.of_downward(
            mounting.pod, projection.downwardAPI.items, mode, mounting.allocatable
        )
    if projection.serviceAccountToken is not None:
        return await _token(mounting, projection.serviceAccountToken, mode)
    if projection.clusterTrustBundle is not None:
        raise VolumeError("projected source clusterTrustBundle is not supported")
    if projection.podCertificate is not None:
        raise VolumeError("projected source podCertificate is not supported")
    raise VolumeError("projected volume has a source without a type")


async def _token(
    mounting: Mounting, source: core.ServiceAccountTokenProjection, mode: int
) -> dict[str, File]:
    pod = mounting.pod
    expiration = source.expirationSeconds
    found = await mounting.tokens.token(
        pod, source.audience, DEFAULT_EXPIRATION if expiration is None else expiration
    )
    user = ownership.single_user(pod)
    if user is not None or ownership.group_set(pod):
        # For the owner only; fsGroup adds the group's bit.
        mode = TOKEN_MODE
    return {source.path: File(found.token.encode(), mode, -1 if user is None else user)}


PLUGIN = Plugin("projected", "kubernetes.io~projected", mount, read_only=True)
