"""Types of resourceslice: see the API reference, resource/v1."""

from __future__ import annotations

from trireme.api import columns
from trireme.api.resource.v1 import slice_rules
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.machinery import gotext
from trireme.machinery.resource import Column, Resource, spec_changed


def defaults(obj: ResourceSlice) -> None:
    """A device counts once for what nodes can allocate."""
    for device in obj.spec.devices:
        for mapping in device.nodeAllocatableResourceMappings.values():
            if mapping.allocationMultiplier is None:
                mapping.allocationMultiplier = "1"


def set_timestamps(obj: ResourceSlice, _old: ResourceSlice | None, now: str) -> None:
    """Sets timeAdded of taints that have none."""
    for device in obj.spec.devices:
        for taint in device.taints:
            taint.timeAdded = taint.timeAdded or now


def prepare_create(new: ResourceSlice) -> None:
    """Drops fields of disabled features."""
    slice_rules.drop_disabled(new, None)


def warnings(new: ResourceSlice, _old: ResourceSlice | None) -> list[str]:
    """Drivers with capital letters."""
    driver = new.spec.driver
    if driver == driver.lower():
        return []
    return [
        "spec.driver: driver names should be lowercase; "
        f"{gotext.quote(driver)} contains uppercase characters"
    ]


RESOURCE = Resource(
    type=ResourceSlice,
    plural="resourceslices",
    namespaced=False,
    defaults=defaults,
    set_timestamps=set_timestamps,
    prepare_create=prepare_create,
    prepare_update=slice_rules.drop_disabled,
    validate=slice_rules.validate,
    validate_update=slice_rules.validate_update,
    warnings=warnings,
    generation=spec_changed,
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column("Node", "spec.nodeName", "The node that has the devices, if it is one.", empty=""),
        Column("Driver", "spec.driver", "The driver that offers the devices."),
        Column("Pool", "spec.pool.name", "The pool that the devices are of."),
        columns.AGE,
    ),
    selectable={
        "spec.nodeName": lambda obj: obj.spec.nodeName or "",
        "spec.driver": lambda obj: obj.spec.driver,
    },
    label_refusal="field label not supported for resource.k8s.io/v1, Kind=ResourceSlice",
)
