"""The health of nodes, their taints, and the eviction rates of zones. Pure.

In: nodes, their leases, the health observed before, the time. Out: conditions, taints, states of
zones. Called by ``lifecycle`` and ``taint_nodes``. Upstream: pkg/controller/nodelifecycle;
https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trireme.api.core.v1.node_types import Node, NodeCondition
from trireme.api.core.v1.selection import Taint
from trireme.controllers.settings import NodeLifecycle
from trireme.machinery import time

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
EXCLUDED = "node.kubernetes.io/exclude-disruption"
_REGION, _ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
_OLD_REGION = "failure-domain.beta.kubernetes.io/region"
_OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
# By condition: the taint of each status.
_TAINTS: dict[str, dict[str, str]] = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
}
_OURS = frozenset(
    (UNSCHEDULABLE, *(key for by_status in _TAINTS.values() for key in by_status.values()))
)
_REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_COPIED = {
    "kubernetes.io/os": "beta.kubernetes.io/os",
    "kubernetes.io/arch": "beta.kubernetes.io/arch",
}


class Health(msgspec.Struct, frozen=True):
    """The health of a node. ``probed``: when, by our clock, heartbeat or lease last changed;
    ``heartbeat`` of its condition Ready and ``renewed`` of its lease are only compared."""

    probed: float
    heartbeat: str | None = None
    renewed: str | None = None


def ready(conditions: Iterable[NodeCondition]) -> NodeCondition | None:
    """The condition Ready."""
    return next((item for item in conditions if item.type == "Ready"), None)


def update_health(before: Health | None, node: Node, renewed: str | None, now: float) -> Health:
    """The health of a node as observed now. ``renewed``: its lease's renewTime."""
    condition = ready(node.status.conditions)
    heartbeat = condition.lastHeartbeatTime if condition is not None else None
    if before is None:
        # A node that never posted its status counts from its creation.
        created = node.metadata.creationTimestamp
        since = time.parse(created) if created else now
        return Health(now if condition is not None else since, heartbeat, renewed)
    posted = heartbeat is not None and heartbeat != before.heartbeat
    leased = renewed is not None and (before.renewed is None or renewed > before.renewed)
    probed = now if posted or leased else before.probed
    return Health(probed, heartbeat, renewed or before.renewed)


def conditions(
    node: Node, health: Health, settings: NodeLifecycle, now: float
) -> list[NodeCondition]:
    """The conditions of a node: Unknown once the grace period is over without a heartbeat."""
    present = node.status.conditions
    posted = ready(present) is not None
    grace = settings.monitor_grace if posted else settings.startup_grace
    if now <= health.probed + grace:
        return present
    known = {item.type: item for item in present}
    for kind in _REPORTED:
        old = known.get(kind)
        if old is None:
            known[kind] = NodeCondition(
                type=kind,
                status="Unknown",
                lastHeartbeatTime=node.metadata.creationTimestamp,
                lastTransitionTime=time.format(now),
                reason="NodeStatusNeverUpdated",
                message="Kubelet never posted node status.",
            )
        elif old.status != "Unknown":
            known[kind] = msgspec.structs.replace(
                old,
                status="Unknown",
                lastTransitionTime=time.format(now),
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
            )
    return list(known.values())


def no_schedule(node: Node, now: float) -> list[Taint]:
    """All desired taints of the node: of ours with NoSchedule, those of its conditions."""
    desired = {
        _TAINTS[item.type][item.status]: None
        for item in node.status.conditions
        if item.status in _TAINTS.get(item.type, {})
    }
    if node.spec.unschedulable:
        desired[UNSCHEDULABLE] = None
    kept = [
        item
        for item in node.spec.taints
        if item.effect != "NoSchedule" or item.key not in _OURS or item.key in desired
    ]
    there = {item.key for item in kept if item.effect == "NoSchedule"}
    return kept + [taint(key, "NoSchedule", now) for key in desired if key not in there]


def no_execute(node: Node, key: str, now: float) -> list[Taint]:
    """All desired taints of the node: of not-ready and unreachable with NoExecute, the one of
    ``key``; "" for neither."""
    kept = [
        item
        for item in node.spec.taints
        if item.effect != "NoExecute" or item.key not in (NOT_READY, UNREACHABLE) or item.key == key
    ]
    there = any(item.key == key and item.effect == "NoExecute" for item in kept)
    return kept if there or not key else [*kept, taint(key, "NoExecute", now)]


def moves_pods(node: Node) -> bool:
    """Whether it has one of the two taints that evict its pods."""
    return any(
        item.effect == "NoExecute" and item.key in (NOT_READY, UNREACHABLE)
        for item in node.spec.taints
    )


def taint(key: str, effect: str, now: float) -> Taint:
    """A taint that is added now."""
    return Taint(key=key, effect=effect, timeAdded=time.format(now))


def labels(node: Node) -> dict[str, str]:
    """The deprecated beta labels that are missing or differ from the stable ones."""
    has = node.metadata.labels
    return {
        old: has[new] for new, old in _COPIED.items() if new in has and has.get(old) != has[new]
    }


class ZoneState(enum.Enum):
    """The state of a failure zone."""

    NORMAL = "few nodes are not ready"
    PARTIAL = "many nodes are not ready: perhaps it is the network, so pods are moved slowly"
    FULL = "no node is ready"


def zone(node: Node) -> str:
    """The name of the node's failure zone, as upstream's metrics have it; "" for all nodes without
    labels."""
    has = node.metadata.labels
    region, name = (
        has.get(_REGION, has.get(_OLD_REGION, "")),
        has.get(_ZONE, has.get(_OLD_ZONE, "")),
    )
    return f"{region}:\x00:{name}" if region or name else ""


def zone_state(ready_states: Sequence[bool], settings: NodeLifecycle) -> ZoneState:
    """The state of a zone by whether each of its nodes is ready."""
    sick = ready_states.count(False)
    if sick and sick == len(ready_states):
        return ZoneState.FULL
    if sick > 2 and sick / len(ready_states) >= settings.unhealthy_share:
        return ZoneState.PARTIAL
    return ZoneState.NORMAL


def rates(
    states: Mapping[str, ZoneState], sizes: Mapping[str, int], settings: NodeLifecycle
) -> dict[str, float]:
    """How many nodes per second may be tainted, for each zone. When no node of any zone is ready,
    the control plane is likely cut off: none."""
    if all(state is ZoneState.FULL for state in states.values()):
        return dict.fromkeys(states, 0.0)
    found = {}
    for name, state in states.items():
        rate = settings.eviction_rate
        if state is ZoneState.PARTIAL:
            large = sizes.get(name, 0) > settings.large_zone
            rate = settings.secondary_rate if large else 0.0
        found[name] = rate
    return found
