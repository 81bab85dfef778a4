"""Rules of ResourceSlices: pool, nodes, counters, devices.

Called by: ResourceSlice. ``device_rules`` validates devices. Upstream:
pkg/apis/resource/validation; KEP-4381, KEP-4815.
"""

from __future__ import annotations

from typing import Final

from trireme.api import rules
from trireme.api.core.v1.pod.rules import placement
from trireme.api.resource.v1 import checks, device_rules
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.api.resource.v1.slice_types import CounterSet, Device, ResourceSliceSpec
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_MOST_DEVICES: Final = 128
_MOST_ADVANCED_DEVICES: Final = 64
_MOST_COUNTER_SETS: Final = 8
_ONE_OF: Final = (
    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
)
_TRUE: Final = "must be either unset or set to true"


def drop_disabled(new: ResourceSlice, old: ResourceSlice | None) -> None:
    """Drops fields of disabled feature gates, unless the old slice has them."""
    old_devices = [] if old is None else old.spec.devices
    lists = any(_has_lists(device) for device in old_devices)
    mapped = any(device.nodeAllocatableResourceMappings for device in old_devices)
    for device in new.spec.devices:
        if not mapped:
            device.nodeAllocatableResourceMappings = {}
        for attribute in device.attributes.values() if not lists else ():
            attribute.ints, attribute.bools, attribute.strings, attribute.versions = [], [], [], []


def _has_lists(device: Device) -> bool:
    return any(
        item.ints or item.bools or item.strings or item.versions
        for item in device.attributes.values()
    )


def validate(new: ResourceSlice) -> Errors:
    """A slice that is new."""
    return _spec(new.spec, None)


def validate_update(new: ResourceSlice, old: ResourceSlice) -> Errors:
    """Driver, pool and node stay."""
    return _spec(new.spec, old.spec)


def _spec(spec: ResourceSliceSpec, old: ResourceSliceSpec | None) -> Errors:
    errs: Errors = []
    at = field.path("spec")
    checks.driver(errs, at.child("driver"), spec.driver)
    where = at.child("pool")
    checks.pool(errs, where.child("name"), spec.pool.name)
    rules.positive(errs, where, "resourceSliceCount", spec.pool.resourceSliceCount)
    if spec.pool.generation < 0:
        detail = "must be greater than or equal to zero"
        errs.append(field.invalid(where.child("generation"), spec.pool.generation, detail))
    if old is not None:
        rules.unchanged(errs, where, "name", spec.pool.name, old.pool.name)
        rules.unchanged(errs, at, "driver", spec.driver, old.driver)
        rules.unchanged(errs, at, "nodeName", spec.nodeName, old.nodeName)
    _nodes(errs, at, spec)
    if spec.sharedCounters and spec.devices:
        detail = "only one of `sharedCounters` or `devices` is allowed"
        errs.append(field.invalid(at, "", detail))
    advanced = any(
        device.taints or device.consumesCounters or _has_lists(device) for device in spec.devices
    )
    before = {} if old is None else {device.name: device for device in reversed(old.devices)}

    def device(errs: Errors, at: Path, item: Device) -> None:
        apart = bool(spec.perDeviceNodeSelection)
        device_rules.device(errs, at, item, before.get(item.name), apart)

    most = _MOST_ADVANCED_DEVICES if advanced else _MOST_DEVICES
    checks.each(errs, at.child("devices"), spec.devices, most, device, lambda d: d.name)
    where = at.child("sharedCounters")
    checks.each(
        errs, where, spec.sharedCounters, _MOST_COUNTER_SETS, _counter_set, lambda s: s.name
    )
    return errs


def _nodes(errs: Errors, at: Path, spec: ResourceSliceSpec) -> None:
    given: list[str] = []
    if spec.nodeName:
        given.append("`nodeName`")
        rules.syntax(errs, at, "nodeName", spec.nodeName, names.is_dns1123_subdomain)
    elif spec.nodeName is not None:
        detail = "must be either unset or set to a non-empty string"
        errs.append(field.invalid(at.child("nodeName"), "", detail))
    if spec.nodeSelector is not None:
        given.append("`nodeSelector`")
        where, terms = at.child("nodeSelector"), spec.nodeSelector.nodeSelectorTerms
        placement.node_selector(errs, where, spec.nodeSelector)
        if len(terms or ()) != 1:
            detail = "must have exactly one node selector term"
            errs.append(field.invalid(where.child("nodeSelectorTerms"), terms, detail))
    for name in ("allNodes", "perDeviceNodeSelection"):
        value = getattr(spec, name)
        if value:
            given.append(f"`{name}`")
        elif value is not None:
            errs.append(field.invalid(at.child(name), value, _TRUE))
    if not given:
        errs.append(field.required(at, _ONE_OF))
    elif len(given) > 1:
        detail = f"{_ONE_OF}, but multiple fields are set"
        errs.append(field.invalid(at, f"{{{', '.join(given)}}}", detail))


def _counter_set(errs: Errors, at: Path, item: CounterSet) -> None:
    rules.required_syntax(errs, at, "name", item.name, names.is_dns1123_label)
    device_rules.counters(errs, at.child("counters"), item.counters)
