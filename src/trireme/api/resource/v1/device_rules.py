"""Rules of a device in a ResourceSlice: attributes, capacity, counters, node, conditions.

Called by: ``slice_rules``. Upstream: pkg/apis/resource/validation; KEP-4381, KEP-4815, KEP-5075.
"""

from __future__ import annotations

import re
from typing import Final

from trireme.api import rules
from trireme.api.core.v1 import resource_names
from trireme.api.core.v1.pod.rules import placement
from trireme.api.resource.v1 import capacity_rules, checks, taint_rules
from trireme.api.resource.v1.slice_types import (
    Counter,
    Device,
    DeviceAttribute,
    DeviceCapacity,
    DeviceCounterConsumption,
    NodeAllocatableResourceMapping,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path

_MOST_ENTRIES: Final = 32
_MOST_VALUES: Final = 48
_MOST_TAINTS: Final = 16
_MOST_CONSUMPTIONS: Final = 2
_MOST_COUNTERS: Final = 32
_LONGEST_NAME: Final = 63 + 1 + 32
_LONGEST_VALUE: Final = 64
_SCALARS: Final = ("bool", "int", "string", "version")
_LISTS: Final = ("bools", "ints", "strings", "versions")
_NODE: Final = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when "
    "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
)
_NUMBER: Final = r"(0|[1-9][0-9]*)"
_PRE: Final = r"(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?\Z"
).match


def device(errs: Errors, at: Path, item: Device, old: Device | None, apart: bool) -> None:
    """``apart``: node selection is per device."""
    checks.label(errs, at.child("name"), item.name)
    entries = len(item.attributes) + len(item.capacity)
    if entries > _MOST_ENTRIES:
        detail = f"the total number of attributes and capacities must not exceed {_MOST_ENTRIES}"
        errs.append(field.invalid(at, entries, detail))
    values = sum(_count(attribute) for attribute in item.attributes.values())
    if values > _MOST_VALUES:
        detail = f"the total number of attribute values must not exceed {_MOST_VALUES}"
        errs.append(field.invalid(at, values, detail))
    name = checks.qualified_name
    where = at.child("attributes")
    checks.each_entry(errs, where, item.attributes, -1, _LONGEST_NAME, name, _attribute)
    capacity = capacity_rules.shared if item.allowMultipleAllocations else _single_capacity
    where = at.child("capacity")
    checks.each_entry(errs, where, item.capacity, -1, _LONGEST_NAME, name, capacity)
    if old is None or old.taints != item.taints:
        checks.each(errs, at.child("taints"), item.taints, _MOST_TAINTS, taint_rules.taint)
    checks.each(
        errs,
        at.child("consumesCounters"),
        item.consumesCounters,
        _MOST_CONSUMPTIONS,
        _consumption,
        lambda consumption: consumption.counterSet,
    )
    if apart:
        _nodes(errs, at, item)
    elif item.nodeName is not None or item.nodeSelector is not None or item.allNodes is not None:
        detail = (
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if "
            "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        )
        errs.append(field.invalid(at, None, detail))
    checks.binding_conditions(errs, at, item.bindingConditions, item.bindingFailureConditions)
    where = at.child("nodeAllocatableResourceMappings")
    for resource, mapping in item.nodeAllocatableResourceMappings.items():
        _mapping(errs, where.key(resource), resource, mapping, item)


def _count(attribute: DeviceAttribute) -> int:
    return sum(len(getattr(attribute, name)) for name in _LISTS) or 1


def _attribute(errs: Errors, at: Path, item: DeviceAttribute) -> None:
    if item.string is not None:
        _text(errs, at.child("string"), item.string)
    if item.version is not None:
        _version(errs, at.child("version"), item.version)
    for position, text in enumerate(item.strings):
        _text(errs, at.child("strings").index(position), text)
    for position, text in enumerate(item.versions):
        _version(errs, at.child("versions").index(position), text)
    given = sum(getattr(item, name) is not None for name in _SCALARS)
    given += sum(bool(getattr(item, name)) for name in _LISTS)
    if given != 1:
        bad_value = item if given else ""
        errs.append(field.invalid(at, bad_value, "exactly one value must be specified"))


def _text(errs: Errors, at: Path, text: str) -> None:
    if len(text.encode()) > _LONGEST_VALUE:
        errs.append(field.too_long(at, _LONGEST_VALUE))


def _version(errs: Errors, at: Path, text: str) -> None:
    if not _SEMVER(text):
        detail = "must be a string compatible with semver.org spec 2.0.0"
        errs.append(field.invalid(at, text, detail))
    _text(errs, at, text)


def _single_capacity(errs: Errors, at: Path, item: DeviceCapacity) -> None:
    if item.requestPolicy is not None:
        detail = "allowMultipleAllocations must be true"
        errs.append(field.forbidden(at.child("requestPolicy"), detail))


def _consumption(errs: Errors, at: Path, item: DeviceCounterConsumption) -> None:
    rules.required_syntax(errs, at, "counterSet", item.counterSet, names.is_dns1123_label)
    counters(errs, at.child("counters"), item.counters)


def counters(errs: Errors, at: Path, items: dict[str, Counter]) -> None:
    """Counters by their names; any quantity is fine."""
    if not items:
        errs.append(field.required(at))
    elif len(items) > _MOST_COUNTERS:
        errs.append(field.too_many(at, len(items), _MOST_COUNTERS))
    else:
        for name in items:
            checks.label(errs, at, name)


def _nodes(errs: Errors, at: Path, item: Device) -> None:
    given: list[str] = []
    if item.nodeName:
        given.append("`nodeName`")
        rules.syntax(errs, at, "nodeName", item.nodeName, names.is_dns1123_subdomain)
    elif item.nodeName is not None:
        errs.append(field.invalid(at.child("nodeName"), "", "must not be empty"))
    if item.nodeSelector is not None:
        given.append("`nodeSelector`")
        placement.node_selector(errs, at.child("nodeSelector"), item.nodeSelector)
    if item.allNodes:
        given.append("`allNodes`")
    elif item.allNodes is not None:
        detail = "must be either unset or set to true"
        errs.append(field.invalid(at.child("allNodes"), False, detail))
    if not given:
        errs.append(field.required(at, _NODE))
    elif len(given) > 1:
        errs.append(field.invalid(at, f"{{{', '.join(given)}}}", _NODE))


def _mapping(
    errs: Errors, at: Path, resource: str, item: NodeAllocatableResourceMapping, of: Device
) -> None:
    if not resource_names.is_native(resource):
        errs.append(field.invalid(at, resource, "must be a node allocatable resource name"))
    if item.allocationMultiplier is None and item.capacityKey is None:
        detail = "at least one of allocationMultiplier or capacityKey must be set"
        errs.append(field.invalid(at, "", detail))
    multiplier = item.allocationMultiplier
    if multiplier is not None and quantity.parse(multiplier).nanos <= 0:
        where = at.child("allocationMultiplier")
        errs.append(field.invalid(where, multiplier, "must be positive"))
    if item.capacityKey is not None:
        where = at.child("capacityKey")
        if not item.capacityKey:
            errs.append(field.invalid(where, "", "capacityKey must not be an empty string"))
        elif item.capacityKey not in of.capacity:
            errs.append(field.not_found(where, item.capacityKey))
