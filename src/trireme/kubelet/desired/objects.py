"""ConfigMaps and Secrets that pods of this node use.

In: namespace and name. Out: the object, or ``None``. Called by volumes and sync/create. Rules: a
node may read only objects that its pods refer to, one at a time (node authorization), so this gets
them by name and caches them for a second: pods that start together cause one request, and a pod
does not start with stale data.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.machinery.errors import ApiError

FRESH_SECONDS = 1.0
# An object marked immutable cannot have changed; it can only be gone.
FRESH_IMMUTABLE_SECONDS = 300.0
LIMIT = 1000

Key = tuple[type, str, str]
T = TypeVar("T", core.ConfigMap, core.Secret)


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
        fresh = FRESH_IMMUTABLE_SECONDS if found.immutable else FRESH_SECONDS
        self._kept[key] = _Kept(found, now + fresh)
        return found
