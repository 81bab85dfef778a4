"""The interface of volume plugins, and their arguments.

In: a pod, one of its volumes, a ``Mounting``. Out: the path on the host that containers mount.
Every module in ``volumes/plugins`` defines one ``Plugin`` value; the manager finds them by folder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet.host.contract import Host


class VolumeError(Exception):
    """The volume cannot be set up now; the pod waits and the kubelet retries."""


class Objects(Protocol):
    """ConfigMaps and Secrets of the API."""

    async def config_map(self, namespace: str, name: str) -> core.ConfigMap | None: ...

    async def secret(self, namespace: str, name: str) -> core.Secret | None: ...


class Tokens(Protocol):
    """Service-account tokens bound to a pod, renewed before they run out."""

    async def token(self, pod: core.Pod, audience: str, expiration_seconds: int) -> str: ...


class Mounting(msgspec.Struct, frozen=True):
    """The arguments of a plugin. ``directory`` is the volume's folder under the kubelet's root."""

    env: Env
    host: Host
    pod: core.Pod
    directory: str
    objects: Objects
    tokens: Tokens
    allocatable: Mapping[str, str]
    memory_backed: bool = True

    def stamp(self) -> str:
        """A name for a version of the volume's content."""
        return f"{int(self.env.clock.now() * 1000):013d}.{self.env.suffix(10)}"


class Mounted(msgspec.Struct, frozen=True):
    """A mounted volume. ``path`` is on the host; ``read_only``: no container may write to it,
    whatever its volumeMount says."""

    path: str
    read_only: bool = False


class Plugin(msgspec.Struct, frozen=True):
    """``field``: which field of ``Volume`` it serves. ``directory``: its folder's name.
    ``read_only``: the kubelet alone writes to its volumes.

    ``mount`` is called in every round of the pod, and must be cheap when nothing changed; it raises
    ``VolumeError``.
    """

    field: str
    directory: str
    mount: Callable[[Mounting, core.Volume], Awaitable[str]]
    read_only: bool = False
