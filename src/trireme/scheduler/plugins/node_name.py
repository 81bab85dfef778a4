"""NodeName: a pod that names a node runs there or nowhere."""

from __future__ import annotations

from trireme.scheduler.framework import Plugin, Refusal, Subject
from trireme.scheduler.snapshot.columns import NAME, View

REASON = "node(s) didn't match the requested node name"


def refuse(view: View, subject: Subject) -> list[Refusal] | None:
    """Every node but the one named."""
    wanted = subject.pod.spec.nodeName
    if not wanted:
        return None
    others = view.label(NAME) != view.columns.interned(NAME, wanted)
    return [Refusal(others, REASON, final=True)]


PLUGIN = Plugin("NodeName", filter=refuse, local_filter=False)
