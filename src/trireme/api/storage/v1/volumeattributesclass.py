"""Types of volumeattributesclass: see the API reference, storage/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns
from trireme.api.rules import Errors
from trireme.api.storage.v1 import rules as checks
from trireme.machinery import field, meta
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import (
    Required,
    Struct,
    always,
    constant,
)


class VolumeAttributesClass(Struct):
    kind: str = constant("VolumeAttributesClass")
    apiVersion: str = constant("storage.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    driverName: Annotated[str, Required()] = always(str)
    parameters: dict[str, str] = {}


def validate(new: VolumeAttributesClass) -> Errors:
    """Driver and parameters."""
    errs: Errors = []
    checks.driver(errs, field.path("driverName"), new.driverName)
    checks.parameters(errs, field.path("parameters"), new.parameters, needed=True)
    return errs


def validate_update(new: VolumeAttributesClass, old: VolumeAttributesClass) -> Errors:
    """Driver and parameters stay."""
    errs: Errors = []
    for name in ("driverName", "parameters"):
        if getattr(new, name) != getattr(old, name):
            detail = f"updates to {name} are forbidden."
            errs.append(field.forbidden(field.path(name), detail))
    return errs + validate(new)


RESOURCE = Resource(
    type=VolumeAttributesClass,
    plural="volumeattributesclasses",
    namespaced=False,
    short_names=("vac",),
    validate=validate,
    validate_update=validate_update,
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column("DriverName", "driverName", "The CSI driver that the class is of."),
        columns.AGE,
    ),
)
