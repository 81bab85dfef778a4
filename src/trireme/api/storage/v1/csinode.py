"""Types of csinode: see the API reference, storage/v1."""

from __future__ import annotations

from typing import Annotated

from msgspec.structs import replace

from trireme.api import columns, rules
from trireme.api.core.v1.pod.rules import storage
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import (
    Atomic,
    Int32,
    Merge,
    Required,
    Struct,
    always,
    constant,
    listmap,
    null,
)


class VolumeNodeResources(Struct):
    count: Int32 | None = None


class CSINodeDriver(Struct):
    name: Annotated[str, Required()] = always(str)
    nodeID: Annotated[str, Required()] = always(str)
    topologyKeys: Annotated[list[str] | None, Atomic()] = null()
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(Struct):
    drivers: Annotated[list[CSINodeDriver] | None, Required(), listmap("name"), Merge("name")] = (
        null()
    )


class CSINode(Struct):
    kind: str = constant("CSINode")
    apiVersion: str = constant("storage.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[CSINodeSpec, Required()] = always(CSINodeSpec)


_LONGEST_ID = 256


def validate(new: CSINode) -> Errors:
    """Drivers with unique names."""
    errs: Errors = []
    used: set[str] = set()
    for position, item in enumerate(new.spec.drivers or ()):
        at = field.path("spec", "drivers").index(position)
        _driver(errs, at, item)
        if item.name in used:
            errs.append(field.duplicate(at.child("name"), item.name))
        used.add(item.name)
        _keys(errs, at, item.topologyKeys or [])
    return errs


def _driver(errs: Errors, at: Path, item: CSINodeDriver) -> None:
    storage.driver_name(errs, at.child("name"), item.name)
    rules.required(errs, at, "nodeID", item.nodeID)
    if len(item.nodeID) > _LONGEST_ID:
        detail = f"must be {_LONGEST_ID} characters or less"
        errs.append(field.invalid(at.child("nodeID"), item.nodeID, detail))
    if item.allocatable is not None and item.allocatable.count is not None:
        rules.not_negative(errs, at.child("allocatable"), "count", item.allocatable.count)


def _keys(errs: Errors, at: Path, keys: list[str]) -> None:
    for position, key in enumerate(keys):
        if not key:
            errs.append(field.required(at))
        if key in keys[:position]:
            errs.append(field.duplicate(at, key))
        rules.add(errs, at, key, names.is_qualified_name(key))


def validate_update(new: CSINode, old: CSINode) -> Errors:
    """Of a driver that stays only the count of volumes changes."""
    errs = validate(new)
    before = {item.name: item for item in old.spec.drivers or ()}
    for item in new.spec.drivers or ():
        was = before.get(item.name)
        if was is not None and replace(item, allocatable=None) != replace(was, allocatable=None):
            where = field.path("spec", "drivers")
            errs.append(field.invalid(where, item, rules.IMMUTABLE))
    return errs


RESOURCE = Resource(
    type=CSINode,
    plural="csinodes",
    namespaced=False,
    validate=validate,
    validate_update=validate_update,
    unconditional_update=False,
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column(
            "Drivers",
            lambda obj: len(obj.spec.drivers or ()),
            "How many CSI drivers run on the node.",
            type="integer",
        ),
        columns.AGE,
    ),
)
