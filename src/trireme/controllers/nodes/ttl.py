"""How long kubelets may keep Secrets and ConfigMaps in memory: longer in larger clusters.

In: nodes. Out: their annotation node.alpha.kubernetes.io/ttl, in seconds. A change of the cluster's
size reaches a node with its next heartbeat, so that not all are written at once. Run by
``manager``. Upstream: pkg/controller/ttl.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from trireme.api.core.v1.node_types import Node
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.machinery import errors
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

ANNOTATION = "node.alpha.kubernetes.io/ttl"


class Boundary(NamedTuple):
    """The seconds for clusters of ``size_min`` to ``size_max`` nodes."""

    size_min: int
    size_max: float
    seconds: int


# They overlap: a cluster whose size moves around a boundary keeps its value.
BOUNDARIES: Final = (
    Boundary(0, 100, 0),
    Boundary(90, 500, 15),
    Boundary(450, 1000, 30),
    Boundary(900, 2000, 60),
    Boundary(1800, float("inf"), 300),
)


def compute_step(step: int, nodes: int) -> int:
    """The position in BOUNDARIES of a cluster that had ``step`` and has so many nodes now."""
    while nodes > BOUNDARIES[step].size_max:
        step += 1
    while nodes < BOUNDARIES[step].size_min:
        step -= 1
    return step


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    nodes = context.informers.of(Node)
    known: set[str] = set()
    step = 0

    def count(event: Event[Any]) -> bool:
        nonlocal step
        if event.type == DELETED:
            known.discard(event.key.name)
        else:
            known.add(event.key.name)
        step = compute_step(step, len(known))
        return event.type != DELETED

    async def reconcile(key: Key) -> None:
        node = nodes.get("", key.name)
        desired = str(BOUNDARIES[step].seconds)
        if node is None or node.metadata.annotations.get(ANNOTATION) == desired:
            return
        change = {"metadata": {"annotations": {ANNOTATION: desired}}}
        try:
            await context.client.patch(Node, key.name, None, change)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    own = triggers.only(count, triggers.own())
    return Controller("ttlcontroller", reconcile, context.env, triggers=[(nodes, own)], workers=5)


CONTROLLER = Definition("ttl-controller", make)
