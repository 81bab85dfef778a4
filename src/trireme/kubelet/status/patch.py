"""The strategic merge patch that turns one PodStatus into another. Pure.

In: the status that the API has and the one that it should have. Out: a patch, or ``None`` when they
are the same. Called by status/manager. A patch and not an update, because schedulers, controllers
and readiness gates write conditions of their own beside ours.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.api.core import v1 as core

# Lists that strategic merge joins by a key: what left the list must be deleted by name.
_KEYED = {"conditions": "type", "podIPs": "ip", "hostIPs": "ip"}


def status_patch(uid: str, present: core.PodStatus, wanted: core.PodStatus) -> dict | None:
    """``uid`` in the patch makes the API refuse it for a pod that was replaced meanwhile."""
    before: dict[str, Any] = msgspec.to_builtins(present)
    after: dict[str, Any] = msgspec.to_builtins(wanted)
    changes: dict[str, Any] = {}
    for name in {**before, **after}:
        if before.get(name) == after.get(name):
            continue
        if name in _KEYED:
            items = _keyed(before.get(name, []), after.get(name, []), _KEYED[name])
            if items:
                changes[name] = items
        else:
            changes[name] = after.get(name)
    if not changes:
        return None
    return {"metadata": {"uid": uid}, "status": changes}


def _keyed(before: list[dict], after: list[dict], key: str) -> list[dict]:
    known = {item[key]: item for item in before}
    wanted = {item[key]: item for item in after}
    items = [
        _cleared(item, known.get(item[key], {})) for item in after if known.get(item[key]) != item
    ]
    items += [{"$patch": "delete", key: name} for name in known if name not in wanted]
    return items


def _cleared(item: dict, before: dict) -> dict:
    """``item`` with a null for each field that it no longer has."""
    return {**item, **{name: None for name in before if name not in item}}
