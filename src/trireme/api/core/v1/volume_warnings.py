"""Deprecated and removed kinds of volumes, and the warnings for their use.

Called by: the warnings of pods and of PersistentVolumes. Upstream: pkg/api/pod,
pkg/api/persistentvolume.
"""

from __future__ import annotations

from typing import Any, Final

from trireme.machinery.field import Path

# By attribute: the name in the warning, and its text. Persistent volumes have not all of them.
_DEPRECATED: Final = {
    "photonPersistentDisk": (
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    "gitRepo": ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}
# Upstream warns of these in pods only.
_IN_PODS: Final = ("gitRepo", "flocker", "quobyte")


def is_usual(volume: Any) -> bool:
    """Whether a pod's volume is of a kind that nearly all are of, none of them deprecated."""
    return (
        volume.projected is not None
        or volume.configMap is not None
        or volume.secret is not None
        or volume.emptyDir is not None
    )


def in_pod(at: Path, volume: Any) -> list[str]:
    """Of a pod's volume."""
    return [
        f"{at.child(field_name)}: {detail}"
        for name, (field_name, detail) in _DEPRECATED.items()
        if getattr(volume, name) is not None
    ]


def persistent(at: Path, spec: Any) -> list[str]:
    """Of a PersistentVolume's spec."""
    return [
        f"{at.child(field_name)}: {detail}"
        for name, (field_name, detail) in _DEPRECATED.items()
        if name not in _IN_PODS and getattr(spec, name) is not None
    ]
