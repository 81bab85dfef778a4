"""Rules of Nodes.

In: a defaulted and prepared Node, and the stored one. Out: field errors. Called by: the kind's
``RESOURCE``. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/architecture/nodes/.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.core.v1 import resource_names
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.selection import Taint
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import FieldError, Path

_SPEC: Final = field.path("spec")
_STATUS: Final = field.path("status")
_feature: Final = re.compile(r"[A-Z][a-zA-Z0-9]*(/[a-zA-Z][a-zA-Z0-9]*)*\Z").match
_MAX_FEATURE: Final = 253


def create(new: Node) -> Errors:
    """A new node; unlike other kinds it may bring its status."""
    errs: Errors = []
    _whole(errs, new)
    return errs


def update(new: Node, old: Node) -> Errors:
    """A change of the main resource."""
    errs: Errors = []
    _whole(errs, new)
    _fixed(errs, new, old)
    return errs


def status(new: Node, _old: Node) -> Errors:
    """A change of the status, at every heartbeat."""
    errs: Errors = []
    _status(errs, new)
    _addresses(errs, new)
    return errs


def taints(errs: Errors, at: Path, items: Sequence[Taint]) -> None:
    """Taints by key and effect."""
    used: set[tuple[str, str]] = set()
    for position, item in enumerate(items):
        here = at.index(position)
        rules.syntax(errs, here, "key", item.key, names.is_qualified_name)
        messages = names.is_label_value(item.value)
        if messages:
            errs.append(field.invalid(here.child("value"), item.value, ";".join(messages)))
        rules.declared(errs, here, item, "effect")
        if (item.key, item.effect) in used:
            detail = "taints must be unique by key and effect pair"
            errs.append(FieldError(field.DUPLICATE, str(here), item, detail))
        used.add((item.key, item.effect))


def _whole(errs: Errors, node: Node) -> None:
    if node.spec.taints:
        # Upstream's path, though they stand in the spec.
        taints(errs, field.path("metadata", "taints"), node.spec.taints)
    _status(errs, node)
    swap = node.status.nodeInfo.swap
    if swap is not None and swap.capacity is not None:
        rules.positive(errs, field.path("metadata", "nodeSwapStatus"), "capacity", swap.capacity)
    _pod_cidrs(errs, node.spec.podCIDRs)


def _status(errs: Errors, node: Node) -> None:
    for side in ("capacity", "allocatable"):
        for name, text in getattr(node.status, side).items():
            value = quantity.parse(text)
            if value.nanos < 0:
                where = _STATUS.child(side, name)
                errs.append(field.invalid(where, text, rules.NOT_NEGATIVE))
            if value.nanos % 10**9 and resource_names.is_integer(name):
                where = _STATUS.child(side, name)
                errs.append(field.invalid(where, text, "must be an integer"))
    _features(errs, node.status.declaredFeatures)


def _features(errs: Errors, items: Sequence[str]) -> None:
    at = _STATUS.child("declaredFeatures")
    for position, item in enumerate(items):
        if len(item) > _MAX_FEATURE or not _feature(item):
            limit = f"must be no more than {_MAX_FEATURE} characters"
            form = (
                "must start with an UpperCamelCase segment, with subsequent segments separated by "
                "'/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric "
                "characters and slashes"
            )
            detail = limit if len(item) > _MAX_FEATURE else form
            invalid_name = f'invalid feature name "{item}": {detail}'
            errs.append(field.invalid(at.index(position), item, invalid_name))
        before = items[position - 1] if position else ""
        if position and item == before:
            errs.append(field.duplicate(at.index(position), item))
        elif item < before:
            detail = "list must be sorted alphabetically"
            errs.append(field.invalid(at.index(position), item, detail))


def _pod_cidrs(errs: Errors, cidrs: list[str]) -> None:
    at = _SPEC.child("podCIDRs")
    for position, cidr in enumerate(cidrs):
        rules.add(errs, at.index(position), cidr, names.is_legacy_cidr(cidr))
    if len(cidrs) > 1 and (len(cidrs) > 2 or not rules.is_dual_stack(cidrs)):
        detail = "may specify no more than one CIDR for each IP family"
        errs.append(field.invalid(at, cidrs, detail))


def _addresses(errs: Errors, node: Node) -> None:
    used: set[tuple[str, str]] = set()
    for position, item in enumerate(node.status.addresses):
        key = (item.type, item.address)
        if key in used:
            errs.append(field.duplicate(_STATUS.child("addresses").index(position), item))
        used.add(key)


def _fixed(errs: Errors, new: Node, old: Node) -> None:
    """Fields that may be set once, or not at all."""
    _addresses(errs, new)
    if old.spec.podCIDRs and old.spec.podCIDRs != new.spec.podCIDRs:
        detail = 'node updates may not change podCIDR except from "" to valid'
        errs.append(field.forbidden(_SPEC.child("podCIDRs"), detail))
    if old.spec.providerID and old.spec.providerID != new.spec.providerID:
        detail = 'node updates may not change providerID except from "" to valid'
        errs.append(field.forbidden(_SPEC.child("providerID"), detail))
    if old.spec.externalID != new.spec.externalID:
        errs.append(field.forbidden(_SPEC.child("externalID"), "may not be updated"))
