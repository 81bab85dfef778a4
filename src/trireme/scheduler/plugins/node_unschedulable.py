"""NodeUnschedulable: cordoned nodes fit only pods that tolerate the unschedulable taint."""

from __future__ import annotations

from trireme.api.core.v1.selection import Taint
from trireme.domain import tolerations
from trireme.scheduler.framework import Plugin, PodInfo, Unschedulable
from trireme.scheduler.snapshot.columns import View

REASON = "node(s) were unschedulable"
_TAINT = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


def refuse(view: View, pod_info: PodInfo) -> list[Unschedulable] | None:
    """The cordoned nodes."""
    cordoned = view.columns.unschedulable[view.rows]
    if not cordoned.any() or tolerations.tolerates(pod_info.pod.spec.tolerations, _TAINT):
        return None
    return [Unschedulable(cordoned, REASON, unresolvable=True)]


PLUGIN = Plugin("NodeUnschedulable", filter=refuse)
