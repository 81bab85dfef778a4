"""The strategic merge patch from the API's PodStatus to the desired one. Pure.

In: the API's status as last read, and the desired one. Out: a patch, or ``None`` when they are
equal. Called by status/manager. It has only fields that the kubelet owns: schedulers, controllers
and readiness gates write the others concurrently. Upstream: mergePodStatus in pkg/kubelet/status.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet.status import conditions

Item: TypeAlias = dict[str, Any]

# Lists that strategic merge joins by a key: removed items must be deleted by key.
_KEYED = {"podIPs": "ip", "hostIPs": "ip"}
# Written by the API server, the scheduler and the resource claim controller.
_OTHERS = frozenset(
    (
        "nominatedNodeName",
        "resourceClaimStatuses",
        "extendedResourceClaimStatus",
        "nodeAllocatableResourceClaimStatuses",
    )
)


def status_patch(uid: str, present: core.PodStatus, desired: core.PodStatus) -> Item | None:
    """``uid`` makes the API refuse the patch for another pod of the same name."""
    before: dict[str, Any] = msgspec.to_builtins(present)
    after: dict[str, Any] = msgspec.to_builtins(desired)
    changes: dict[str, Any] = {}
    for name in {**before, **after}:
        if name in _OTHERS or before.get(name) == after.get(name):
            continue
        if name == "conditions":
            items = _conditions(before.get(name, []), after.get(name, []))
            if items:
                changes[name] = items
        elif name in _KEYED:
            items = _keyed(before.get(name, []), after.get(name, []), _KEYED[name])
            if items:
                changes[name] = items
        else:
            changes[name] = after.get(name)
    if not changes:
        return None
    return {"metadata": {"uid": uid}, "status": changes}


def _conditions(before: list[Item], after: list[Item]) -> list[Item]:
    """The conditions that the kubelet owns, and a DisruptionTarget that it set."""

    def owned(items: list[Item]) -> list[Item]:
        return [item for item in items if item["type"] in conditions.OWNED]

    shared = [item for item in after if item.get("reason") == conditions.BY_KUBELET]
    return [
        *_keyed(owned(before), owned(after), "type"),
        *(item for item in shared if item not in before),
    ]


def _keyed(before: list[Item], after: list[Item], key: str) -> list[Item]:
    known = {item[key]: item for item in before}
    desired = {item[key]: item for item in after}
    items = [
        _cleared(item, known.get(item[key], {})) for item in after if known.get(item[key]) != item
    ]
    items += [{"$patch": "delete", key: name} for name in known if name not in desired]
    return items


def _cleared(item: Item, before: Item) -> Item:
    """``item`` with a null for each field that it no longer has."""
    return {**item, **{name: None for name in before if name not in item}}
