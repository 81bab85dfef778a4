"""What the claims of one pod mean for nodes: facts, looked up before the decision. Pure.

Made by ``lookup``; read by the volume plugins. Upstream:
pkg/scheduler/framework/plugins/volumebinding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.storage.v1.csistoragecapacity import CSIStorageCapacity
from trireme.api.storage.v1.storageclass import StorageClass

NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"


@dataclass(frozen=True)
class Limits:
    """How many volumes of each driver a node may have, and which it has: by driver, by node."""

    most: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    there: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class PodVolumes:
    """``problem``: why no node will do (``plugin`` says so). ``bound``: the volumes of claims that
    have one; ``lost``: some of them are not there. ``delayed``: claims that get a volume once a
    node is chosen, the smallest first; ``candidates``: by class, the volumes that they could get,
    the smallest first. ``taken``: a volume for a single pod is in use. ``handles``: the volumes of
    the pod by CSI driver."""

    problem: str = ""
    plugin: str = ""
    bound: tuple[PersistentVolume, ...] = ()
    lost: bool = False
    delayed: tuple[PersistentVolumeClaim, ...] = ()
    candidates: Mapping[str, tuple[PersistentVolume, ...]] = field(default_factory=dict)
    classes: Mapping[str, StorageClass] = field(default_factory=dict)
    # Of classes whose driver says how much there is: all that is left where.
    capacities: Mapping[str, tuple[CSIStorageCapacity, ...]] = field(default_factory=dict)
    taken: bool = False
    handles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Bindings:
    """What is to be written before the pod is bound: volumes for claims, and claims whose volume
    is made for the node."""

    static: tuple[tuple[PersistentVolumeClaim, PersistentVolume], ...] = ()
    provisioned: tuple[PersistentVolumeClaim, ...] = ()
