"""Nodes say how long their kubelets may keep Secrets and ConfigMaps."""

from __future__ import annotations

from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core import v1 as core
from trireme.controllers.nodes import ttl


async def create(w: World) -> None:
    for number in range(3):
        await w.node(f"more-{number}")


async def spoil(w: World) -> None:
    change = {"metadata": {"annotations": {ttl.ANNOTATION: "7"}}}
    await w.client.patch(core.Node, "more-1", None, change)


def is_annotated(w: World) -> bool:
    nodes = w.list(core.Node)
    return len(nodes) == 4 and all(
        node.metadata.annotations.get(ttl.ANNOTATION) == "0" for node in nodes
    )


CASE = Case(
    name="ttl",
    controller="ttl-controller",
    steps=(Step(act=create, done=is_annotated), Step(act=spoil, done=is_annotated)),
)
