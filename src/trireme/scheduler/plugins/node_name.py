"""NodeName: a pod with ``spec.nodeName`` fits that node only."""

from __future__ import annotations

from trireme.scheduler.framework import Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import NAME, View

REASON = "node(s) didn't match the requested node name"


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """Every node but the one named."""
    name = pod_info.pod.spec.nodeName
    if not name:
        return None
    others = view.label(NAME) != view.columns.interned(NAME, name)
    return [Unschedulable(others, REASON, unresolvable=True)]


PLUGIN = Plugin("NodeName", filter=refuse, local_filter=False)
