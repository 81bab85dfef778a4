"""Types of deviceclass: see the API reference, resource/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns
from trireme.api.core.v1 import resource_names
from trireme.api.resource.v1 import checks, claim_rules
from trireme.api.resource.v1.claim_types import DeviceSelector, OpaqueDeviceConfiguration
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.field import Path
from trireme.machinery.resource import Resource, spec_changed
from trireme.machinery.types import Atomic, Required, Struct, always, constant


class DeviceClassConfiguration(Struct):
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceClassSpec(Struct):
    selectors: Annotated[list[DeviceSelector], Atomic()] = []
    config: Annotated[list[DeviceClassConfiguration], Atomic()] = []
    extendedResourceName: str | None = None


class DeviceClass(Struct):
    kind: str = constant("DeviceClass")
    apiVersion: str = constant("resource.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[DeviceClassSpec, Required()] = always(DeviceClassSpec)


def validate(new: DeviceClass) -> Errors:
    """Which devices are of the class, and the configuration for their drivers."""
    errs: Errors = []
    spec, at = new.spec, field.path("spec")
    where = at.child("selectors")
    checks.each(errs, where, spec.selectors, claim_rules.MOST_SELECTORS, claim_rules.selector)
    checks.each(errs, at.child("config"), spec.config, checks.MOST_CONFIGS, _config)
    name = spec.extendedResourceName
    if name is not None and not resource_names.is_extended(name):
        detail = "must be a valid extended resource name"
        errs.append(field.invalid(at.child("extendedResourceName"), name, detail))
    return errs


def _config(errs: Errors, at: Path, item: DeviceClassConfiguration) -> None:
    claim_rules.opaque(errs, at, item.opaque)


RESOURCE = Resource(
    type=DeviceClass,
    plural="deviceclasses",
    namespaced=False,
    validate=validate,
    generation=spec_changed,
    returns_deleted=True,
    columns=(
        columns.NAME,
        columns.AGE,
    ),
)
