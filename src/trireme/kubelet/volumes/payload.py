"""The files that ConfigMaps, Secrets and the downward API put into volumes. Pure.

In: an object and the volume's items. Out: path to ``atomic.File``. Called by the plugins configMap,
secret, downwardAPI and projected. Rules: reference "Volumes": a missing key is an error unless
optional; a key's own mode wins over the default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trireme.api.core import v1 as core
from trireme.kubelet.env import downward
from trireme.kubelet.volumes.atomic import File
from trireme.kubelet.volumes.plugin import VolumeError

DEFAULT_MODE = 0o644


def of_config_map(
    found: core.ConfigMap, items: Sequence[core.KeyToPath], mode: int, *, optional: bool
) -> dict[str, File]:
    data = {key: value.encode() for key, value in found.data.items()}
    return select({**data, **found.binaryData}, items, mode, "configmap", optional=optional)


def of_secret(
    found: core.Secret, items: Sequence[core.KeyToPath], mode: int, *, optional: bool
) -> dict[str, File]:
    return select(found.data, items, mode, "secret", optional=optional)


def of_downward(
    pod: core.Pod,
    items: Sequence[core.DownwardAPIVolumeFile],
    mode: int,
    allocatable: Mapping[str, str],
) -> dict[str, File]:
    files: dict[str, File] = {}
    for item in items:
        try:
            if item.fieldRef is not None:
                text = downward.field(pod, item.fieldRef.fieldPath)
            elif item.resourceFieldRef is not None:
                text = downward.resource(pod, item.resourceFieldRef, "", allocatable)
            else:
                text = ""
        except downward.Unsupported as problem:
            raise VolumeError(str(problem)) from problem
        files[item.path] = File(text.encode(), mode if item.mode is None else item.mode)
    return files


def select(
    data: Mapping[str, bytes],
    items: Sequence[core.KeyToPath],
    mode: int,
    kind: str,
    *,
    optional: bool,
) -> dict[str, File]:
    if not items:
        return {key: File(data[key], mode) for key in sorted(data)}
    files: dict[str, File] = {}
    for item in items:
        if item.key not in data:
            if optional:
                continue
            raise VolumeError(
                f"{kind} references non-existent config key: {item.key}"
                if kind == "configmap"
                else f"references non-existent secret key: {item.key}"
            )
        files[item.path] = File(data[item.key], mode if item.mode is None else item.mode)
    return files
