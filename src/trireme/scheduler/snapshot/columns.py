"""Nodes as columns: one row per node, one array per resource, taint and label key.

In: nodes and pods as informers see them come, change and go. Out: arrays that plugins compute with.
Rows are reused, so arrays have holes; ``live`` says which rows are nodes. Everything that a plugin
needs of the pods on the nodes is counted when a pod comes or goes, not when one is scheduled.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

from trireme.api.core.v1.node import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.scheduler.snapshot import requests
from trireme.scheduler.snapshot.requests import Request

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
MISSING = -1
PODS = "pods"
Taint = tuple[str, str, str]
Matches = Callable[[Pod], bool]


class Columns:
    """All nodes, and what runs on them."""

    def __init__(self) -> None:
        self.size = 0
        self._capacity = 64
        self.names: list[str] = []
        self.nodes: list[Node | None] = []
        self.live = self._bools()
        self.unschedulable = self._bools()
        self.pod_count = self._ints()
        self.scored_cpu = self._ints()
        self.scored_memory = self._ints()
        self.allocatable: dict[str, Ints] = {}
        self.requested: dict[str, Ints] = {}
        self.taints: dict[Taint, Bools] = {}
        self.labels: dict[str, Ints] = {}
        self._row: dict[str, int] = {}
        self._free: list[int] = []
        self._values: dict[str, dict[str, int]] = {}
        self._ports: dict[tuple[str, int], dict[str, Ints]] = {}
        self._pods: dict[str, tuple[Pod, str, Request]] = {}
        self._affine: dict[str, tuple[Pod, str, Request]] = {}
        self._counts: dict[Hashable, tuple[Matches, Ints]] = {}
        # Pods by namespace and name on nodes that are not there (yet).
        self._homeless: dict[str, set[str]] = {}
        # Grows at every change of nodes; what is derived from them may be kept until then.
        self.generation = 0

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return len(self._row)

    def rows(self) -> slice:
        """The part of every array that is in use."""
        return slice(0, self.size)

    def row_of(self, name: str) -> int | None:
        return self._row.get(name)

    # Nodes

    def set_node(self, node: Node) -> None:
        """A node is new or has changed."""
        self.generation += 1
        name = node.metadata.name
        row = self._row.get(name)
        fresh = row is None
        if row is None:
            row = self._new_row(name)
        self.nodes[row] = node
        self.live[row] = True
        self.unschedulable[row] = node.spec.unschedulable
        capacity = requests.amounts(node.status.allocatable or node.status.capacity)
        for resource in capacity.keys() | self.allocatable.keys():
            self._column(self.allocatable, resource)[row] = capacity.get(resource, 0)
        taints = {(taint.key, taint.value, taint.effect) for taint in node.spec.taints}
        for taint in taints | self.taints.keys():
            if taint not in self.taints:
                self.taints[taint] = self._bools()
            self.taints[taint][row] = taint in taints
        labels = {**node.metadata.labels, "metadata.name": name}
        for key in labels.keys() | self.labels.keys():
            if key not in self.labels:
                self.labels[key] = np.full(self._capacity, MISSING, np.int64)
            value = labels.get(key)
            self.labels[key][row] = MISSING if value is None else self.intern(key, value)
        if fresh:
            for uid in self._homeless.pop(name, set()):
                pod, _, request = self._pods[uid]
                self._count_pod(pod, row, request, 1)

    def drop_node(self, name: str) -> None:
        """A node has gone. Pods that are still bound to it wait for it to come back."""
        row = self._row.pop(name, None)
        if row is None:
            return
        self.generation += 1
        here = {uid for uid, (_, node, _) in self._pods.items() if node == name}
        for uid in here:
            pod, _, request = self._pods[uid]
            self._count_pod(pod, row, request, -1)
        if here:
            self._homeless[name] = here
        self.live[row] = False
        self.nodes[row] = None
        for taint in self.taints.values():
            taint[row] = False
        for column in self.labels.values():
            column[row] = MISSING
        for amounts in self.allocatable.values():
            amounts[row] = 0
        self._free.append(row)

    def intern(self, key: str, value: str) -> int:
        """The number that stands for a label's value; the same text has the same number."""
        return self._values.setdefault(key, {}).setdefault(value, len(self._values[key]))

    def interned(self, key: str, value: str) -> int:
        """The number of a value that some node has had, else one that no node has."""
        return self._values.get(key, {}).get(value, -2)

    def texts(self, key: str) -> list[str]:
        """The values of a label by their numbers."""
        return list(self._values.get(key, {}))

    def label(self, key: str) -> Ints:
        """The values of a label, MISSING where a node has none."""
        column = self.labels.get(key)
        if column is None:
            return np.full(self.size, MISSING, np.int64)
        return column[: self.size]

    # Pods

    def set_pod(self, pod: Pod, node: str, request: Request | None = None) -> None:
        """A pod is on a node (bound, or assumed to be)."""
        uid = pod.metadata.uid
        known = self._pods.get(uid)
        if known is not None:
            if known[0] is pod and known[1] == node:
                return
            self.drop_pod(uid)
        asked = request if request is not None else requests.of(pod)
        self._pods[uid] = (pod, node, asked)
        if _has_pod_affinity(pod):
            self._affine[uid] = self._pods[uid]
        row = self._row.get(node)
        if row is None:
            self._homeless.setdefault(node, set()).add(uid)
        else:
            self._count_pod(pod, row, asked, 1)

    def drop_pod(self, uid: str) -> None:
        """A pod has gone from its node."""
        known = self._pods.pop(uid, None)
        if known is None:
            return
        self._affine.pop(uid, None)
        pod, node, request = known
        row = self._row.get(node)
        if row is None:
            waiting = self._homeless.get(node)
            if waiting is not None:
                waiting.discard(uid)
        else:
            self._count_pod(pod, row, request, -1)

    def pods_on(self, name: str) -> list[Pod]:
        """The pods of one node."""
        return [pod for pod, node, _ in self._pods.values() if node == name]

    def pods(self) -> list[tuple[Pod, str]]:
        """Every pod with its node."""
        return [(pod, node) for pod, node, _ in self._pods.values()]

    def affine_pods(self) -> list[tuple[Pod, str]]:
        """The pods that have pod affinity or anti-affinity of their own, with their nodes."""
        return [(pod, node) for pod, node, _ in self._affine.values()]

    def matching(self, key: Hashable, matches: Matches) -> Ints:
        """How many pods on each node match; kept up to date from the first question on."""
        known = self._counts.get(key)
        if known is None:
            if len(self._counts) > 512:
                self._counts.clear()
            counts = self._ints()
            for pod, node, _ in self._pods.values():
                row = self._row.get(node)
                if row is not None and matches(pod):
                    counts[row] += 1
            known = self._counts[key] = (matches, counts)
        return known[1][: self.size]

    def ports_taken(self, protocol: str, address: str, port: int) -> Bools:
        """Where a host port cannot be had: the same address, or one of the two is any address."""
        taken = np.zeros(self.size, np.bool_)
        for other, counts in self._ports.get((protocol, port), {}).items():
            if address in (other, "0.0.0.0") or other == "0.0.0.0":
                taken |= counts[: self.size] > 0
        return taken

    def _count_pod(self, pod: Pod, row: int, request: Request, sign: int) -> None:
        self.pod_count[row] += sign
        self.scored_cpu[row] += sign * request.cpu
        self.scored_memory[row] += sign * request.memory
        for resource, value in request.amounts.items():
            self._column(self.requested, resource)[row] += sign * value
        for protocol, address, port in request.ports:
            by_address = self._ports.setdefault((protocol, port), {})
            if address not in by_address:
                by_address[address] = self._ints()
            by_address[address][row] += sign
        for matches, counts in self._counts.values():
            if matches(pod):
                counts[row] += sign

    # Arrays

    def _new_row(self, name: str) -> int:
        if self._free:
            row = self._free.pop()
            self.names[row] = name
        else:
            row = self.size
            self.size += 1
            self.names.append(name)
            self.nodes.append(None)
            if self.size > self._capacity:
                self._grow()
        self._row[name] = row
        return row

    def _grow(self) -> None:
        self._capacity *= 2

        def longer(array: NDArray[np.generic], fill: int = 0) -> NDArray[np.generic]:
            grown = np.full(self._capacity, fill, array.dtype)
            grown[: len(array)] = array
            return grown

        self.live = longer(self.live)
        self.unschedulable = longer(self.unschedulable)
        self.pod_count = longer(self.pod_count)
        self.scored_cpu = longer(self.scored_cpu)
        self.scored_memory = longer(self.scored_memory)
        self.allocatable = {name: longer(item) for name, item in self.allocatable.items()}
        self.requested = {name: longer(item) for name, item in self.requested.items()}
        self.taints = {name: longer(item) for name, item in self.taints.items()}
        self.labels = {name: longer(item, MISSING) for name, item in self.labels.items()}
        self._ports = {
            key: {address: longer(item) for address, item in by_address.items()}
            for key, by_address in self._ports.items()
        }
        self._counts = {
            key: (matches, longer(item)) for key, (matches, item) in self._counts.items()
        }

    def _column(self, columns: dict[str, Ints], name: str) -> Ints:
        column = columns.get(name)
        if column is None:
            column = columns[name] = self._ints()
        return column

    def amounts(self, columns: dict[str, Ints], name: str) -> Ints:
        """A resource's column, zeros where nobody has heard of it."""
        column = columns.get(name)
        return np.zeros(self.size, np.int64) if column is None else column[: self.size]

    def _ints(self) -> Ints:
        return np.zeros(self._capacity, np.int64)

    def _bools(self) -> Bools:
        return np.zeros(self._capacity, np.bool_)


def _has_pod_affinity(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    if affinity is None:
        return False
    return affinity.podAffinity is not None or affinity.podAntiAffinity is not None
