"""VolumeBinding: the pod's volumes can be used, found or made at the node.

The nodes that a bound volume allows; for claims that wait for a node, those where volumes are there
or can be provisioned. ``choose`` says which, once a node is chosen. Upstream:
pkg/scheduler/framework/plugins/volumebinding; KEP-490.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.storage.v1.csistoragecapacity import CSIStorageCapacity
from trireme.domain import volumes
from trireme.machinery import labels, quantity
from trireme.scheduler.framework import Plugin, PodInfo, Unschedulable
from trireme.scheduler.plugins import node_affinity
from trireme.scheduler.snapshot.columns import NAME, Bools, Columns, Ints, View
from trireme.scheduler.volumes.model import NO_PROVISIONER, Bindings, PodVolumes

NODE_CONFLICT: Final = "node(s) didn't match PersistentVolume's node affinity"
BIND_CONFLICT: Final = "node(s) didn't find available persistent volumes to bind"
NOT_ENOUGH_SPACE: Final = "node(s) did not have enough free storage"
NO_VOLUME: Final = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
_NONE: Final = -1


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The nodes where a volume cannot be used, found or made."""
    pod_volumes = pod_info.volumes
    if pod_volumes is None:
        return None
    found = []
    conflict = np.zeros(view.size, np.bool_)
    for volume in pod_volumes.bound:
        conflict |= ~allowed(view, volume)
    if conflict.any():
        found.append(Unschedulable(conflict, NODE_CONFLICT, unresolvable=True))
    if pod_volumes.delayed:
        _, unsatisfied, short = _assign(view, pod_volumes)
        if unsatisfied.any():
            found.append(Unschedulable(unsatisfied, BIND_CONFLICT, unresolvable=True))
        if short.any():
            found.append(Unschedulable(short, NOT_ENOUGH_SPACE, unresolvable=True))
    if pod_volumes.lost:
        every = np.ones(view.size, np.bool_)
        found.append(Unschedulable(every, NO_VOLUME, unresolvable=True))
    return found


def choose(columns: Columns, node: str, pod_volumes: PodVolumes) -> Bindings:
    """What is bound and provisioned for a node that ``refuse`` does not refuse."""
    row = columns.row_of(node)
    if row is None or not pod_volumes.delayed:
        return Bindings()
    choices, _, _ = _assign(columns.at(np.array([row])), pod_volumes)
    static, provisioned = [], []
    for claim, selected in zip(pod_volumes.delayed, choices, strict=True):
        number = int(selected[0])
        if number == _NONE:
            provisioned.append(claim)
        else:
            candidates = pod_volumes.candidates[volumes.class_of(claim)]
            static.append((claim, candidates[number]))
    return Bindings(tuple(static), tuple(provisioned))


def allowed(view: View, volume: PersistentVolume) -> Bools:
    """The nodes that a volume's node affinity allows."""
    affinity = volume.spec.nodeAffinity
    if affinity is None or affinity.required is None:
        return np.ones(view.size, np.bool_)
    matches = np.zeros(view.size, np.bool_)
    for term in affinity.required.nodeSelectorTerms:
        matches |= node_affinity.term_matches(view, term)
    return matches


def _assign(view: View, pod_volumes: PodVolumes) -> tuple[list[Ints], Bools, Bools]:
    """For each claim that waits, the number of the volume that it gets at each node, or none: it
    is provisioned; the nodes where that cannot be; those without the space for it."""
    choices: list[Ints] = []
    unsatisfied = np.zeros(view.size, np.bool_)
    short = np.zeros(view.size, np.bool_)
    masks: dict[str, Bools] = {}
    taken: dict[str, Bools] = {}
    for claim in pod_volumes.delayed:
        choice = np.full(view.size, _NONE, np.int64)
        node = claim.metadata.annotations.get(volumes.SELECTED_NODE)
        if node is not None:
            # It is being provisioned there.
            unsatisfied |= view.label(NAME) != view.columns.interned(NAME, node)
        else:
            _find(view, pod_volumes, claim, choice, masks, taken)
        left = choice == _NONE
        if left.any():
            can, room = _provisionable(view, pod_volumes, claim)
            unsatisfied |= left & ~can
            short |= left & can & ~room
        choices.append(choice)
    return choices, unsatisfied, short


def _find(
    view: View,
    pod_volumes: PodVolumes,
    claim: PersistentVolumeClaim,
    choice: Ints,
    masks: dict[str, Bools],
    taken: dict[str, Bools],
) -> None:
    """The smallest volume that is there for the claim at each node, into ``choice``."""
    selector = volumes.selector_of(claim)
    candidates = pod_volumes.candidates.get(volumes.class_of(claim), ())
    meant = [number for number, item in enumerate(candidates) if volumes.is_bound_to(item, claim)]
    for number in meant or range(len(candidates)):
        volume = candidates[number]
        if not volumes.may_hold(volume, claim):
            continue
        if not meant and not (
            volumes.is_available(volume, claim, selector)
            and {*claim.spec.accessModes} <= {*volume.spec.accessModes}
        ):
            continue
        name = volume.metadata.name
        if name not in masks:
            masks[name] = allowed(view, volume)
            taken[name] = np.zeros(view.size, np.bool_)
        rows = (choice == _NONE) & masks[name] & ~taken[name]
        choice[rows] = number
        taken[name] |= rows


def _provisionable(
    view: View, pod_volumes: PodVolumes, claim: PersistentVolumeClaim
) -> tuple[Bools, Bools]:
    """The nodes where a volume can be made for the claim, and those with the space for it."""
    name = volumes.class_of(claim)
    found = pod_volumes.classes.get(name)
    if found is None or found.provisioner in ("", NO_PROVISIONER):
        none = np.zeros(view.size, np.bool_)
        return none, none
    can = np.ones(view.size, np.bool_)
    if found.allowedTopologies:
        can[:] = False
        for term in found.allowedTopologies:
            matches = np.ones(view.size, np.bool_)
            for item in term.matchLabelExpressions:
                values = [view.columns.interned(item.key, value) for value in item.values]
                matches &= np.isin(view.label(item.key), values)
            can |= matches
    if name not in pod_volumes.capacities:
        return can, np.ones(view.size, np.bool_)
    room = np.zeros(view.size, np.bool_)
    for capacity in pod_volumes.capacities[name]:
        if _holds(capacity, claim):
            room |= _reaches(view, capacity)
    return can, room


def _holds(capacity: CSIStorageCapacity, claim: PersistentVolumeClaim) -> bool:
    limit = capacity.maximumVolumeSize or capacity.capacity
    return limit is not None and quantity.parse(limit).value() >= volumes.request(claim).value()


def _reaches(view: View, capacity: CSIStorageCapacity) -> Bools:
    """The nodes that have access to the storage."""
    if capacity.nodeTopology is None:
        return np.zeros(view.size, np.bool_)
    selector = labels.from_struct(capacity.nodeTopology)
    nodes = np.array(view.columns.nodes, dtype=object)[view.rows]
    return np.array(
        [node is not None and selector.matches(node.metadata.labels) for node in nodes], np.bool_
    )


PLUGIN = Plugin("VolumeBinding", filter=refuse, local_filter=False)
