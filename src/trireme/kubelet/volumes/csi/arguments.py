"""What a CSI driver is given for a volume. Pure.

In: a PersistentVolume or the source in a pod, the CSIDriver. Out: capabilities, contexts, handles
and paths. Called by ``volumes/csi``. Upstream: pkg/volume/csi; the paths on disk are upstream's,
because drivers and their tools look there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from trireme.api.core import v1 as core
from trireme.api.storage import v1 as storage
from trireme.domain import volumes
from trireme.kubelet.csi.contract import Capability
from trireme.kubelet.volumes.plugin import Token
from trireme.machinery import time

PERSISTENT, EPHEMERAL = "Persistent", "Ephemeral"
TOKENS = "csi.storage.k8s.io/serviceAccount.tokens"
DATA = "vol_data.json"
PLUGIN_DIR = "plugins/kubernetes.io/csi"
_MODES = {
    "ReadWriteOnce": "SINGLE_NODE_WRITER",
    "ReadOnlyMany": "MULTI_NODE_READER_ONLY",
    "ReadWriteMany": "MULTI_NODE_MULTI_WRITER",
    "ReadWriteOncePod": "SINGLE_NODE_WRITER",
}
# Of drivers that tell one writer on a node from several.
_MULTI_WRITER_MODES = {
    **_MODES,
    "ReadWriteOnce": "SINGLE_NODE_MULTI_WRITER",
    "ReadWriteOncePod": "SINGLE_NODE_SINGLE_WRITER",
}


def access_mode(volume: core.PersistentVolume | None, *, multi_writer: bool) -> str:
    """CSI's name for the first access mode."""
    modes = volume.spec.accessModes if volume is not None else []
    names = _MULTI_WRITER_MODES if multi_writer else _MODES
    return names.get(modes[0] if modes else "ReadWriteOnce", "UNKNOWN")


def capability(volume: core.PersistentVolume, mode: str, group: str) -> Capability:
    """How a PersistentVolume is used. ``group``: for the driver to set."""
    source = volume.spec.csi
    assert source is not None
    if is_block(volume):
        return Capability(mode, block=True)
    return Capability(
        mode, fs_type=source.fsType, mount_flags=tuple(volume.spec.mountOptions), group=group
    )


def supports(driver: storage.CSIDriver | None, name: str, mode: str) -> str:
    """Why the driver has no volumes of this lifecycle, or ""."""
    if driver is None:
        if mode == PERSISTENT:
            return ""
        return f'volume mode "{mode}" not supported by driver {name} (no CSIDriver object)'
    modes = driver.spec.volumeLifecycleModes or [PERSISTENT]
    if mode in modes:
        return ""
    known = " ".join(f'"{item}"' for item in modes)
    return f'volume mode "{mode}" not supported by driver {name} (only supports [{known}])'


def needs_attach(driver: storage.CSIDriver | None) -> bool:
    return driver is None or driver.spec.attachRequired is not False


def pod_info(driver: storage.CSIDriver | None, pod: core.Pod, mode: str) -> dict[str, str]:
    """What ``podInfoOnMount`` adds to the volume's context."""
    if driver is None or not driver.spec.podInfoOnMount:
        return {}
    return {
        "csi.storage.k8s.io/pod.name": pod.metadata.name,
        "csi.storage.k8s.io/pod.namespace": pod.metadata.namespace,
        "csi.storage.k8s.io/pod.uid": pod.metadata.uid,
        "csi.storage.k8s.io/serviceAccount.name": pod.spec.serviceAccountName,
        "csi.storage.k8s.io/ephemeral": "true" if mode == EPHEMERAL else "false",
    }


def tokens(found: Mapping[str, Token]) -> str:
    """Tokens by audience, as the driver reads them."""
    return json.dumps({
        audience: {"token": token.token, "expirationTimestamp": time.format(token.expires)}
        for audience, token in sorted(found.items())
    })  # fmt: skip


def sets_group(
    driver: storage.CSIDriver | None,
    fs_type: str,
    volume: core.PersistentVolume | None,
    *,
    read_only: bool,
) -> bool:
    """Whether the kubelet gives the volume to the pod's ``fsGroup``. ``volume`` None: an ephemeral
    one."""
    policy = (driver.spec.fsGroupPolicy if driver is not None else "") or "ReadWriteOnceWithFSType"
    if read_only or policy == "None":
        return False
    if policy == "File":
        return True
    return bool(fs_type) and (volume is None or "ReadWriteOnce" in volume.spec.accessModes)


def ephemeral_handle(pod: core.Pod, name: str) -> str:
    """The handle of a volume that lives as long as the pod."""
    return f"csi-{hashlib.sha256(f'{pod.metadata.uid}{name}'.encode()).hexdigest()}"


def staging_dir(root: str, driver: str, handle: str) -> str:
    """The folder of a volume on this node; it is mounted on ``globalmount`` in there."""
    digest = hashlib.sha256(handle.encode()).hexdigest()
    return f"{root}/{PLUGIN_DIR}/{driver}/{digest}"


def block_dir(root: str) -> str:
    return f"{root}/{PLUGIN_DIR}/volumeDevices"


def is_block(volume: core.PersistentVolume) -> bool:
    return volumes.mode_of(volume) == "Block"
