"""Types of csistoragecapacity: see the API reference, storage/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.core.v1 import node_labels
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names, quantity
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import (
    Quantity,
    Required,
    Struct,
    always,
    constant,
)


class CSIStorageCapacity(Struct):
    kind: str = constant("CSIStorageCapacity")
    apiVersion: str = constant("storage.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    nodeTopology: meta.LabelSelector | None = None
    storageClassName: Annotated[str, Required()] = always(str)
    capacity: Quantity | None = None
    maximumVolumeSize: Quantity | None = None


def validate(new: CSIStorageCapacity) -> Errors:
    """Topology, storage class, capacity."""
    errs: Errors = []
    rules.label_selector(errs, field.path("nodeTopology"), new.nodeTopology)
    rules.syntax(
        errs, field.path(), "storageClassName", new.storageClassName, names.is_dns1123_subdomain
    )
    if new.capacity is not None and quantity.parse(new.capacity).nanos < 0:
        errs.append(field.invalid(field.path("capacity"), new.capacity, rules.NOT_NEGATIVE))
    return errs


def validate_update(new: CSIStorageCapacity, old: CSIStorageCapacity) -> Errors:
    """Only the quantities change."""
    errs = validate(new)
    for name in ("nodeTopology", "storageClassName"):
        rules.unchanged(errs, field.path(), name, getattr(new, name), getattr(old, name))
    return errs


def warnings(new: CSIStorageCapacity, _old: CSIStorageCapacity | None) -> list[str]:
    """Labels of nodes that are deprecated."""
    return node_labels.selector_warnings(field.path("nodeTopology"), new.nodeTopology)


RESOURCE = Resource(
    type=CSIStorageCapacity,
    plural="csistoragecapacities",
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    unconditional_update=False,
    columns=(
        columns.NAME,
        Column("StorageClassName", "storageClassName", "The class that volumes would be of."),
        Column("Capacity", "capacity", "How much there is.", unset=columns.UNSET),
    ),
)
