"""Types of storageclass: see the API reference, storage/v1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from trireme.api import columns, rules
from trireme.api.core.v1.node_labels import DEPRECATED
from trireme.api.core.v1.references import TopologySelectorTerm
from trireme.api.rules import Errors
from trireme.api.storage.v1 import rules as checks
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Required,
    Struct,
    always,
    constant,
)

VolumeBindingMode = Annotated[str, Enum(("Immediate", "WaitForFirstConsumer"))]


class StorageClass(Struct):
    kind: str = constant("StorageClass")
    apiVersion: str = constant("storage.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    provisioner: Annotated[str, Required()] = always(str)
    parameters: dict[str, str] = {}
    reclaimPolicy: Annotated[str | None, Default("Delete")] = None
    mountOptions: Annotated[list[str], Atomic()] = []
    allowVolumeExpansion: bool | None = None
    volumeBindingMode: Annotated[VolumeBindingMode | None, Default("Immediate")] = None
    allowedTopologies: Annotated[list[TopologySelectorTerm], Atomic()] = []


DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_RECLAIM = ("Delete", "Retain")
_FIXED = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")


def validate(new: StorageClass) -> Errors:
    """Provisioner, parameters, policies and topologies."""
    errs: Errors = []
    top = field.path()
    checks.driver(errs, field.path("provisioner"), new.provisioner)
    checks.parameters(errs, field.path("parameters"), new.parameters, needed=False)
    if new.reclaimPolicy:
        rules.one_of(errs, top, "reclaimPolicy", new.reclaimPolicy, _RECLAIM)
    if new.volumeBindingMode is None:
        errs.append(field.required(field.path("volumeBindingMode")))
    rules.declared(errs, top, new, "volumeBindingMode")
    _topologies(errs, new.allowedTopologies)
    return errs


def _topologies(errs: Errors, terms: list[TopologySelectorTerm]) -> None:
    # Upstream compares with as many empty terms: an empty one is always a duplicate.
    used: list[dict[str, set[str]]] = [{}]
    for position, term in enumerate(terms):
        at = field.path("allowedTopologies").index(position).child("matchLabelExpressions")
        requested: dict[str, set[str]] = {}
        for number, item in enumerate(term.matchLabelExpressions):
            here, values = at.index(number), item.values or []
            rules.required(errs, here, "values", values)
            for place, value in enumerate(values):
                if value in values[:place]:
                    errs.append(field.duplicate(here.child("values").index(place), value))
            rules.syntax(errs, here, "key", item.key, names.is_qualified_name)
            if item.key in requested:
                errs.append(field.duplicate(here.child("key"), item.key))
            requested[item.key] = {*values}
        if requested in used:
            errs.append(field.duplicate(at, ""))
        used.append(requested)


def validate_update(new: StorageClass, old: StorageClass) -> Errors:
    """Provisioner, parameters and reclaim policy stay."""
    errs = validate(new)
    for name in _FIXED:
        rules.unchanged(errs, field.path(), name, getattr(new, name), getattr(old, name))
    return errs


def warnings(new: StorageClass, _old: StorageClass | None) -> list[str]:
    """Labels of nodes that are deprecated."""
    return [
        f"allowedTopologies[{position}].matchLabelExpressions[{number}].key: {DEPRECATED[item.key]}"
        for position, term in enumerate(new.allowedTopologies)
        for number, item in enumerate(term.matchLabelExpressions)
        if item.key in DEPRECATED
    ]


def _name(obj: StorageClass) -> str:
    is_default = any(obj.metadata.annotations.get(key) == "true" for key in DEFAULT)
    return f"{obj.metadata.name} (default)" if is_default else obj.metadata.name


RESOURCE = Resource(
    type=StorageClass,
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    returns_deleted=True,
    columns=(
        replace(columns.NAME, cell=_name),
        Column("Provisioner", "provisioner", "Who makes the volumes."),
        Column(
            "ReclaimPolicy",
            "reclaimPolicy",
            "What becomes of a volume whose claim is gone.",
            unset="Delete",
        ),
        Column(
            "VolumeBindingMode",
            "volumeBindingMode",
            "When a claim gets its volume.",
            unset="Immediate",
        ),
        Column(
            "AllowVolumeExpansion", "allowVolumeExpansion", "Whether volumes may grow.", unset=False
        ),
        columns.AGE,
    ),
)
