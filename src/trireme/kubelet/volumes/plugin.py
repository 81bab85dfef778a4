"""The interface of volume plugins, and their arguments.

In: a pod, one of its volumes, a ``Mounting``. Out: the path on the host that containers mount.
Every module in ``volumes/plugins`` defines one ``Plugin`` value; the manager finds them by folder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from trireme.api.core import v1 as core
from trireme.api.node import v1 as node
from trireme.api.storage import v1 as storage
from trireme.kit.env import Env
from trireme.kubelet.cri import model
from trireme.kubelet.host.contract import Host


class VolumeError(Exception):
    """The volume cannot be set up now; the pod waits and the kubelet retries."""


class VolumePending(VolumeError):
    """Others have to act first: bind the claim, attach the volume, register the driver."""


class Objects(Protocol):
    """Objects of the API that pods refer to; ``None``: there is none of that name."""

    async def config_map(self, namespace: str, name: str) -> core.ConfigMap | None: ...

    async def secret(self, namespace: str, name: str) -> core.Secret | None: ...

    async def claim(self, namespace: str, name: str) -> core.PersistentVolumeClaim | None: ...

    async def patch_claim_status(
        self, claim: core.PersistentVolumeClaim, change: dict[str, Any]
    ) -> core.PersistentVolumeClaim:
        """A merge patch of the status. ApiError."""
        ...

    async def volume(self, name: str) -> core.PersistentVolume | None: ...

    async def attachment(self, name: str) -> storage.VolumeAttachment | None: ...

    async def csi_driver(self, name: str) -> storage.CSIDriver | None: ...

    async def runtime_class(self, name: str) -> node.RuntimeClass | None: ...


class Tokens(Protocol):
    """Service-account tokens bound to a pod, renewed before they run out."""

    async def token(self, pod: core.Pod, audience: str, expiration_seconds: int) -> Token: ...


class Token(msgspec.Struct, frozen=True):
    """A token and when it runs out, in seconds since 1970."""

    token: str
    expires: float


class Claimed(msgspec.Struct, frozen=True):
    """A claim of a pod, and the PersistentVolume that it is bound to. ``read_only``: the pod wants
    no more."""

    claim: core.PersistentVolumeClaim
    volume: core.PersistentVolume
    read_only: bool = False


class Mounted(msgspec.Struct, frozen=True):
    """A mounted volume. ``path`` is on the host; ``read_only``: no container may write to it,
    whatever its volumeMount says; ``device``: it is a block device; ``image``: the runtime mounts
    it, and there is no path."""

    path: str
    read_only: bool = False
    device: bool = False
    image: model.ImageSpec | None = None


class Amount(msgspec.Struct, frozen=True):
    """Bytes or inodes."""

    total: int
    available: int
    used: int


class VolumeUsage(msgspec.Struct, frozen=True):
    """How full a pod's volume is. ``name`` is the pod's for it. ``inodes`` None: not known, and for
    a block device, which has none."""

    uid: str
    name: str
    namespace: str
    claim: str
    bytes: Amount
    inodes: Amount | None


class CsiVolumes(Protocol):
    """The volumes of the node's CSI drivers, as ``csi/mounter.py`` has them."""

    async def mount(self, mounting: Mounting, volume: core.Volume) -> str: ...

    async def mount_claimed(self, mounting: Mounting, claimed: Claimed) -> Mounted: ...

    async def refresh(self, mounting: Mounting, claimed: Claimed) -> None: ...


class Expansions(Protocol):
    """Grows volumes, as ``volumes/expand.py`` does."""

    async def expand(
        self,
        pod: core.Pod,
        claim: core.PersistentVolumeClaim,
        name: str,
        size: str,
        call: Callable[[int], Awaitable[None]],
    ) -> None: ...


class Mounting(msgspec.Struct, frozen=True):
    """The arguments of a plugin. ``root`` is the kubelet's, ``directory`` the volume's folder;
    ``csi`` ``None``: a node without CSI drivers."""

    env: Env
    host: Host
    pod: core.Pod
    root: str
    directory: str
    objects: Objects
    tokens: Tokens
    allocatable: Mapping[str, str]
    expander: Expansions
    memory_backed: bool = True
    csi: CsiVolumes | None = None

    def stamp(self) -> str:
        """A name for a version of the volume's content."""
        return f"{int(self.env.clock.now() * 1000):013d}.{self.env.suffix(10)}"


class Plugin(msgspec.Struct, frozen=True):
    """``field``: which field of ``Volume`` or of ``PersistentVolumeSpec`` it serves, or of both.
    ``directory``: its folder's name. ``read_only``: the kubelet alone writes to its volumes.

    ``mount`` is called in every round of the pod, and must be cheap when nothing changed.
    ``mount_claimed`` is called once, and again after the kubelet's restart, for a volume that may
    be mounted already; ``refresh`` every minute after that. All raise ``VolumeError``. ``release``
    is called with the kubelet's root when a pod's volumes are unmounted: it takes down what no pod
    has any more.
    """

    field: str
    directory: str
    mount: Callable[[Mounting, core.Volume], Awaitable[str]] | None = None
    read_only: bool = False
    mount_claimed: Callable[[Mounting, Claimed], Awaitable[Mounted]] | None = None
    refresh: Callable[[Mounting, Claimed], Awaitable[None]] | None = None
    release: Callable[[Host, str], None] | None = None

    def place(self, pod_dir: str, name: str) -> str:
        """Where a pod has a volume of the plugin."""
        return f"{pod_dir}/volumes/{self.directory}/{name}"
