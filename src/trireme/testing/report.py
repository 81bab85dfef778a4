"""What a failure shows: why a condition did not come true, as far as the cluster knows.

In: a running cluster. Out: text: objects that are not as they should be, with their
reasons and events, what holds the controllers up, the last writes. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from trireme.cluster.inprocess import InProcessCluster
from trireme.machinery import time
from trireme.store.contract import Store
from trireme.testing.faults import Faults
from trireme.testing.journal import Change, Journal

OBJECTS, EVENTS, WRITES = 12, 12, 12
_EVENTS = "/registry/events/"


def text(
    cluster: InProcessCluster, journal: Journal, faults: Faults, components: Iterable[str]
) -> str:
    """The report; of ``components`` those are named that do not run."""
    store = cluster.setup.store
    lines = _section("objects", list(_objects(store)), OBJECTS)
    lines += _section("events", _events(store), EVENTS)
    stopped = [name for name in components if not cluster.runs(name)]
    if stopped:
        lines.append(f"does not run: {', '.join(stopped)}")
    rules = [f"{rule.sort} ({rule.hits} times)" for rule in faults.rules]
    if rules:
        lines.append(f"faults: {', '.join(rules)}")
    lines += _section("last writes", _writes(journal), WRITES)
    return "\n".join(lines)


def _writes(journal: Journal) -> list[str]:
    found: list[Change] = []
    for change in reversed(journal.changes):
        if len(found) == WRITES:
            break
        if not change.key.startswith(_EVENTS):
            found.append(change)
    return [
        f"{time.format(each.at)} @{each.revision} {each.verb} "
        f"{each.key.removeprefix('/registry/')} by {each.user or 'the API server'}"
        for each in reversed(found)
    ]


def _section(title: str, lines: list[str], limit: int) -> list[str]:
    if not lines:
        return []
    left = [f"  and {len(lines) - limit} more"] if len(lines) > limit else []
    listed = [f"  {line}" for each in lines[:limit] for line in each.splitlines()]
    return [f"{title}:", *listed, *left]


def _objects(store: Store) -> Iterator[str]:
    """Those whose status says that something is amiss."""
    for item in store.list("/registry/").items:
        if not item.key.startswith(_LOOKED_AT):
            continue
        obj = msgspec.json.decode(item.value)
        problems = list(_problems(obj))
        if problems:
            place = "/".join(
                filter(None, (obj["metadata"].get("namespace"), obj["metadata"]["name"]))
            )
            yield f"{obj['kind']} {place}: {'; '.join(problems)}"


_LOOKED_AT = (
    "/registry/pods/",
    "/registry/nodes/",
    "/registry/deployments.",
    "/registry/replicasets.",
    "/registry/statefulsets.",
    "/registry/daemonsets.",
    "/registry/jobs.",
    "/registry/persistentvolumeclaims/",
    "/registry/horizontalpodautoscalers.",
    "/registry/namespaces/",
    "/registry/customresourcedefinitions.",
)
# Conditions whose truth is bad news.
_BAD = ("Failed", "Pressure", "Unavailable", "ReplicaFailure", "NonStructuralSchema", "Failure")


def _problems(obj: dict[str, Any]) -> Iterator[str]:
    status, meta = obj.get("status") or {}, obj["metadata"]
    if meta.get("deletionTimestamp"):
        held = ", ".join(meta.get("finalizers") or [])
        yield f"being deleted since {meta['deletionTimestamp']}" + (
            f", held by {held}" if held else ""
        )
    phase = status.get("phase")
    if phase and phase not in ("Running", "Succeeded", "Active", "Bound"):
        yield phase
    for condition in status.get("conditions") or []:
        bad = str(condition.get("type", "")).endswith(_BAD)
        if phase == "Succeeded" or condition.get("status") == ("False" if bad else "True"):
            continue
        if condition.get("reason") in ("PodCompleted",) or condition.get("type") in _NEUTRAL:
            continue
        words = condition.get("message") or condition.get("reason") or ""
        yield f"{condition.get('type')} {condition.get('status')}: {words}".rstrip(": ")
    for container in status.get("containerStatuses") or []:
        for state in ("waiting", "terminated"):
            found = (container.get("state") or {}).get(state)
            if found and found.get("reason") not in ("Completed", None):
                restarts = container.get("restartCount", 0)
                words = f"{found['reason']} {found.get('message', '')}".strip()
                yield f"container {container['name']} {words} ({restarts} restarts)"


_NEUTRAL = (
    "ScalingLimited",
    "Suspended",
    "DisruptionTarget",
    "Resizing",
    "FileSystemResizePending",
)


def _events(store: Store) -> list[str]:
    """Warnings, newest last."""
    found = []
    for item in store.list(_EVENTS).items:
        obj = msgspec.json.decode(item.value)
        if obj.get("type") != "Warning":
            continue
        about = obj.get("involvedObject") or obj.get("regarding") or {}
        count = obj.get("count") or (obj.get("series") or {}).get("count") or 1
        words = obj.get("message") or obj.get("note") or ""
        line = f"{about.get('kind')} {about.get('name')}: {obj.get('reason')}: {words} (x{count})"
        found.append((item.revision, line))
    return [line for _, line in sorted(found)]
