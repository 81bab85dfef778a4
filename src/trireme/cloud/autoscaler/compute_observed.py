"""The node groups, and which of their machines are nodes already. Pure.

In: what the provider and the API say. Out: ``Observed``, of which ``loop`` makes one at each look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trireme.api.core.v1.node_types import Node
from trireme.cloud import taints
from trireme.cloud.autoscaler.compute_status import Counts
from trireme.cloud.contract import Instance, InstanceState, NodeGroup
from trireme.machinery import time


class Observed:
    """The groups with their machines, and which of those are nodes already."""

    def __init__(self, groups: Sequence[NodeGroup], nodes: Sequence[Node]) -> None:
        self.groups = {group.id: group for group in groups}
        self.nodes = {node.metadata.name: node for node in nodes}
        by_id = {node.spec.providerID: node for node in nodes if node.spec.providerID}
        # The group of a node, and machines that are no node yet, or not a ready one.
        self.group_of: dict[str, str] = {}
        self.upcoming: list[tuple[NodeGroup, Instance]] = []
        self.unregistered: list[tuple[NodeGroup, Instance]] = []
        for group in groups:
            for instance in group.instances:
                node = by_id.get(instance.provider_id)
                if node is not None:
                    self.group_of[node.metadata.name] = group.id
                elif instance.state is not InstanceState.DELETING:
                    self.unregistered.append((group, instance))
        self.upcoming = [one for one in self.unregistered if not one[1].error]

    def ready(self) -> list[Node]:
        """The nodes that take pods."""
        return [node for node in self.nodes.values() if is_ready(node)]

    def count(self, group: str | None, now: float, provision_time: float) -> Counts:
        """The nodes of a group, None for all."""
        nodes = [n for name, n in self.nodes.items() if group in (None, self.group_of.get(name))]
        ready = sum(is_ready(node) for node in nodes)
        young = sum(not is_ready(node) and age(node, now) < provision_time for node in nodes)
        waiting = sum(group in (None, one.id) for one, _ in self.unregistered)
        return Counts(
            total=len(nodes),
            ready=ready,
            not_started=young,
            unready=len(nodes) - ready - young,
            unregistered=waiting,
        )


def is_ready(node: Node) -> bool:
    """Whether the node takes pods: it is ready, and its cloud has initialised it."""
    ready = any(one.type == "Ready" and one.status == "True" for one in node.status.conditions)
    return ready and not any(one.key == taints.UNINITIALIZED for one in node.spec.taints)


def age(obj: Any, now: float) -> float:
    """Seconds since an object was created."""
    created = obj.metadata.creationTimestamp
    return now - time.parse(created) if created else 0.0
