"""Objects that pods of this node refer to.

In: namespace and name. Out: the object, or ``None``. Called by volumes and sync. Rules: a
node may read only objects that its pods refer to, one at a time (node authorization), so this gets
them by name and caches them for a second: pods that start together cause one request, and a pod
does not start with stale data.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from trireme.api.core import v1 as core
from trireme.api.node.v1.runtimeclass import RuntimeClass
from trireme.api.storage.v1.csidriver import CSIDriver
from trireme.api.storage.v1.volumeattachment import VolumeAttachment
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.machinery.errors import ApiError

FRESH_SECONDS = 1.0
# An object marked immutable cannot have changed; it can only be gone.
FRESH_IMMUTABLE_SECONDS = 300.0
LIMIT = 1000

Key = tuple[type, str, str]
T = TypeVar("T")


class _Kept(msgspec.Struct):
    found: Any
    until: float


class ApiObjects:
    """Reads through the API client."""

    def __init__(self, env: Env, client: Client) -> None:
        self._env = env
        self._client = client
        self._kept: dict[Key, _Kept] = {}

    async def config_map(self, namespace: str, name: str) -> core.ConfigMap | None:
        return await self._get(core.ConfigMap, namespace, name)

    async def secret(self, namespace: str, name: str) -> core.Secret | None:
        return await self._get(core.Secret, namespace, name)

    async def claim(self, namespace: str, name: str) -> core.PersistentVolumeClaim | None:
        return await self._get(core.PersistentVolumeClaim, namespace, name)

    async def volume(self, name: str) -> core.PersistentVolume | None:
        return await self._get(core.PersistentVolume, "", name)

    async def attachment(self, name: str) -> VolumeAttachment | None:
        try:
            return await self._get(VolumeAttachment, "", name)
        except ApiError as error:
            # A node has no right to see an attachment that does not exist.
            if errors.is_forbidden(error):
                return None
            raise

    async def csi_driver(self, name: str) -> CSIDriver | None:
        return await self._get(CSIDriver, "", name)

    async def runtime_class(self, name: str) -> RuntimeClass | None:
        return await self._get(RuntimeClass, "", name)

    async def patch_claim_status(
        self, claim: core.PersistentVolumeClaim, change: dict[str, Any]
    ) -> core.PersistentVolumeClaim:
        kind, meta = core.PersistentVolumeClaim, claim.metadata
        self._kept.pop((kind, meta.namespace, meta.name), None)
        patch = {"status": change}
        return await self._client.patch(
            kind, meta.name, meta.namespace, patch, subresource="status"
        )

    async def _get(self, kind: type[T], namespace: str, name: str) -> T | None:
        key, now = (kind, namespace, name), self._env.clock.monotonic()
        kept = self._kept.get(key)
        if kept is not None and now < kept.until:
            known: T = kept.found
            return known
        try:
            found: T = await self._client.get(kind, name, namespace)
        except ApiError as error:
            if not errors.is_not_found(error):
                raise
            self._kept.pop(key, None)
            return None
        if len(self._kept) >= LIMIT:
            self._kept = {k: v for k, v in self._kept.items() if now < v.until}
        immutable = getattr(found, "immutable", False)
        fresh = FRESH_IMMUTABLE_SECONDS if immutable else FRESH_SECONDS
        self._kept[key] = _Kept(found, now + fresh)
        return found
