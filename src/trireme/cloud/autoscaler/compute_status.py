"""The ConfigMap cluster-autoscaler-status. Pure.

In: counts of nodes. Out: its YAML, in upstream's form (cluster-autoscaler clusterstate/api).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from trireme.cloud.contract import NodeGroup
from trireme.machinery import time


class Counts(NamedTuple):
    """Of a group, or of the cluster."""

    total: int = 0
    ready: int = 0
    not_started: int = 0
    unready: int = 0
    unregistered: int = 0
    long_unregistered: int = 0


class GroupStatus(NamedTuple):
    """``scale_up``: NoActivity, InProgress or Backoff. ``candidates`` for a scale-down."""

    group: NodeGroup
    counts: Counts
    scale_up: str
    backoff: str
    candidates: int


class Transitions:
    """Since when each status is what it is."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, float]] = {}

    def since(self, what: str, status: str, now: float) -> float:
        """When ``what`` became ``status``."""
        known = self._since.get(what)
        if known is None or known[0] != status:
            known = self._since[what] = status, now
        return known[1]


def text(groups: Sequence[GroupStatus], whole: Counts, since: Transitions, now: float) -> str:
    """The value of the key ``status``."""
    ups = [one.scale_up for one in groups]
    candidates = sum(one.candidates for one in groups)

    def part(what: str, status: str, **more: Any) -> Mapping[str, Any]:
        return {
            "status": status,
            **more,
            "lastProbeTime": time.format(now),
            "lastTransitionTime": time.format(since.since(what, status, now)),
        }

    def down(what: str, count: int) -> Mapping[str, Any]:
        more = {"candidates": count} if count else {}
        return part(what, "CandidatesPresent" if count else "NoCandidates", **more)

    status = {
        "time": time.format(now),
        "autoscalerStatus": "Running",
        "clusterWide": {
            "health": part("health", _health(whole), nodeCounts=_counts(whole)),
            "scaleUp": part("up", "InProgress" if "InProgress" in ups else "NoActivity"),
            "scaleDown": down("down", candidates),
        },
        "nodeGroups": [
            {
                "name": one.group.id,
                "health": part(
                    f"{one.group.id}/health",
                    _health(one.counts),
                    nodeCounts=_counts(one.counts),
                    cloudProviderTarget=one.group.target_size,
                    minSize=one.group.min_size,
                    maxSize=one.group.max_size,
                ),
                "scaleUp": part(
                    f"{one.group.id}/up",
                    one.scale_up,
                    **({"backoffInfo": {"errorMessage": one.backoff}} if one.backoff else {}),
                ),
                "scaleDown": down(f"{one.group.id}/down", one.candidates),
            }
            for one in groups
        ],
    }
    return yaml.safe_dump(status, sort_keys=False)


def _health(counts: Counts) -> str:
    """Unhealthy with more than three, and more than 45 %, of the nodes unready."""
    bad = counts.unready + counts.long_unregistered
    return "Unhealthy" if bad > 3 and bad > 0.45 * counts.total else "Healthy"


def _counts(counts: Counts) -> Mapping[str, Any]:
    return {
        "registered": {
            "total": counts.total,
            "ready": counts.ready,
            "notStarted": counts.not_started,
            "unready": {"total": counts.unready, "resourceUnready": 0},
        },
        "longUnregistered": counts.long_unregistered,
        "unregistered": counts.unregistered,
    }
