"""How pods use volumes under SELinux, and where two of them cannot share one. Pure.

Called by ``selinux_warning``. Upstream: pkg/controller/volume/selinuxwarning; KEP-1710.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.security import SELinuxOptions
from trireme.api.core.v1.pod.spec import every_container
from trireme.domain import volumes

MOUNT_OPTION, RECURSIVE = "MountOption", "Recursive"
LABEL, POLICY = "SELinuxLabel", "SELinuxChangePolicy"
PodKey = tuple[str, str]


class Usage(msgspec.Struct, frozen=True):
    """A pod's use of a volume: the label to mount it with ("" for none), and how it is changed."""

    label: str
    policy: str
    driver: str


class Conflict(msgspec.Struct, frozen=True):
    """What a pod and another want of one volume. ``what``: LABEL or POLICY."""

    what: str
    pod: PodKey
    value: str
    other: PodKey
    other_value: str

    @property
    def reason(self) -> str:
        return f"{self.what}Conflict"

    @property
    def message(self) -> str:
        """An event of a pod names nothing of another namespace."""
        end = "If both pods land on the same node, only one of them may access the volume."
        if self.pod[0] == self.other[0]:
            return (
                f'{self.what} "{self.value}" conflicts with pod {self.other[1]} that uses the same '
                f'volume as this pod with {self.what} "{self.other_value}". {end}'
            )
        return (
            f'{self.what}"{self.value}" conflicts with another pod that uses the same volume as '
            f"this pod with a different {self.what}. {end}"
        )


def compute_usages(
    pod: Pod,
    volume_of: Callable[[str], PersistentVolume | None],
    mounts_labels: Callable[[str], bool],
) -> tuple[dict[str, Usage], list[str]]:
    """By unique name, the use of each CSI volume behind a claim, and the pod's names of volumes
    that it mounts with several labels. ``volume_of`` the name of a volume in the pod;
    ``mounts_labels``: whether a driver mounts with a label."""
    found: dict[str, Usage] = {}
    several: list[str] = []
    context = pod.spec.securityContext
    desired = context.seLinuxChangePolicy if context is not None else None
    for name, labels in _labels(pod).items():
        volume = volume_of(name)
        source = volume.spec.csi if volume is not None else None
        if volume is None or source is None:
            continue
        if len(labels) > 1:
            several.append(name)
            continue
        policy = desired or MOUNT_OPTION
        label = next(iter(labels), "")
        if policy == RECURSIVE or not label or not mounts_labels(source.driver):
            policy, label = RECURSIVE, ""
        found[volumes.unique_name(volume)] = Usage(label, policy, source.driver)
    return found, several


def _labels(pod: Pod) -> dict[str, set[str]]:
    """By name of a volume, the labels of the containers that mount it."""
    found: dict[str, set[str]] = {}
    of_pod = pod.spec.securityContext
    for container in every_container(pod.spec):
        own = container.securityContext
        options = own.seLinuxOptions if own is not None else None
        if options is None and of_pod is not None:
            options = of_pod.seLinuxOptions
        for mount in container.volumeMounts:
            labels = found.setdefault(mount.name, set())
            if options is not None:
                labels.add(_label(options))
    return found


def _label(options: SELinuxOptions) -> str:
    """What is not said is the node's to fill in."""
    label = ":".join((options.user, options.role, options.type, options.level))
    return "" if label == ":::" else label


def conflicts(pod: PodKey, own: Usage, users: Mapping[PodKey, Usage]) -> list[Conflict]:
    """What the pod and each other user of the volume are in conflict about, for both."""
    found: list[Conflict] = []
    for other, usage in users.items():
        if other == pod:
            continue
        if usage.policy != own.policy:
            found += _both(POLICY, pod, own.policy, other, usage.policy)
        if _differ(own.label, usage.label):
            found += _both(LABEL, pod, own.label, other, usage.label)
    return found


def _both(what: str, pod: PodKey, value: str, other: PodKey, other_value: str) -> list[Conflict]:
    return [
        Conflict(what, pod, value, other, other_value),
        Conflict(what, other, other_value, pod, value),
    ]


def _differ(one: str, other: str) -> bool:
    """A part that is left out is like any, but for the last one, the level."""
    parts, others = _parts(one), _parts(other)
    if parts[3] != others[3]:
        return True
    pairs = zip(parts[:3], others[:3], strict=True)
    return any(a and b and a != b for a, b in pairs)


def _parts(label: str) -> list[str]:
    found = label.split(":", 3)
    return found + [""] * (4 - len(found))
