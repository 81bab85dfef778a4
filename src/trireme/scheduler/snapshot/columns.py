"""Nodes as columns: one row per node, one array per resource, taint and label key.

In: nodes and pods from informers' events. Out: arrays that plugins compute with, through a ``View``
of all rows or of a few. Rows are reused, so arrays have holes; ``live`` says which rows are nodes.
Everything that a plugin needs of the pods on the nodes is counted when a pod is added or removed,
not when one is scheduled.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.domain import scheduling_requests
from trireme.domain.scheduling_requests import Request
from trireme.machinery import labels
from trireme.scheduler.snapshot import counts
from trireme.scheduler.snapshot.counts import Counts, Matches, Query
from trireme.scheduler.snapshot.terms import Terms

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Item = TypeVar("Item", bound=np.generic)
MISSING = -1
PODS = "pods"
# The column of node names: no label key has a colon.
NAME = "field:metadata.name"
# How many changed rows are kept; a reader that is further behind recomputes all rows.
TOUCHED_KEPT = 65536
Taint = tuple[str, str, str]


class View:
    """Some rows of the columns, all that are in use or a few. ``rows`` is an index into any array
    of the columns; every array that a view gives has ``size`` elements."""

    __slots__ = ("columns", "rows", "size")

    def __init__(self, columns: Columns, rows: slice | Ints, size: int) -> None:
        self.columns = columns
        self.rows = rows
        self.size = size

    @property
    def live(self) -> Bools:
        """Which rows are nodes."""
        return self.columns.live[self.rows]

    def allocatable(self, resource: str) -> Ints:
        """The allocatable quantity of a resource; zeros where no node has it."""
        return self._values(self.columns.allocatable, resource)

    def requested(self, resource: str) -> Ints:
        """The requests of the pods on each node."""
        return self._values(self.columns.requested, resource)

    def label(self, key: str) -> Ints:
        """The numbers of a label's values, MISSING where a node has none."""
        column = self.columns.labels.get(key)
        if column is None:
            return np.full(self.size, MISSING, np.int64)
        return column[self.rows]

    def _values(self, columns: dict[str, Ints], name: str) -> Ints:
        column = columns.get(name)
        return np.zeros(self.size, np.int64) if column is None else column[self.rows]


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
        self.terms = Terms()
        self._pods: dict[str, tuple[Pod, str, Request]] = {}
        # Dicts without values are ordered sets: the same history gives the same order.
        self._by_node: dict[str, dict[str, None]] = {}
        self._by_namespace: dict[str, dict[str, None]] = {}
        self._counts = Counts()
        # The rows that have changed, and how many changes were dropped from the list.
        self._touched: list[int] = []
        self._forgotten = 0

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return len(self._row)

    def whole(self) -> View:
        """All rows that are in use."""
        return View(self, slice(0, self.size), self.size)

    def at(self, rows: Ints) -> View:
        """A few rows."""
        return View(self, rows, len(rows))

    @property
    def version(self) -> int:
        """How many changes of rows there have been."""
        return self._forgotten + len(self._touched)

    def touched(self, since: int) -> Ints | None:
        """The rows that have changed after a ``version``; None when that is too long ago."""
        if since < self._forgotten:
            return None
        # Not by np.unique: that imports numpy.ma, 7 MB.
        return np.array(sorted(set(self._touched[since - self._forgotten :])), np.int64)

    def row_of(self, name: str) -> int | None:
        return self._row.get(name)

    # Nodes

    def set_node(self, node: Node) -> None:
        """A node is new or has changed."""
        name = node.metadata.name
        row = self._row.get(name)
        fresh = row is None
        if row is None:
            row = self._new_row(name)
        elif _alike(self.nodes[row], node):
            self.nodes[row] = node
            return
        self.nodes[row] = node
        self.live[row] = True
        self.unschedulable[row] = node.spec.unschedulable
        capacity = scheduling_requests.resources(node.status.allocatable or node.status.capacity)
        for resource in capacity.keys() | self.allocatable.keys():
            self._column(self.allocatable, resource)[row] = capacity.get(resource, 0)
        taints = {(taint.key, taint.value, taint.effect) for taint in node.spec.taints}
        for taint in sorted(taints - self.taints.keys()):
            self.taints[taint] = self._bools()
        for taint, column in self.taints.items():
            column[row] = taint in taints
        labelled = {**node.metadata.labels, NAME: name}
        for key in labelled.keys() - self.labels.keys():
            self.labels[key] = np.full(self._capacity, MISSING, np.int64)
        for key, values in self.labels.items():
            value = labelled.get(key)
            values[row] = MISSING if value is None else self.intern(key, value)
        if fresh:
            self._count_all(name, row, 1)
        self._touch(row)

    def drop_node(self, name: str) -> None:
        """A node was deleted. Pods that are bound to it are kept for a node of that name."""
        row = self._row.pop(name, None)
        if row is None:
            return
        self._count_all(name, row, -1)
        self.live[row] = False
        self.nodes[row] = None
        for taint in list(self.taints):
            self.taints[taint][row] = False
            if not self.taints[taint].any():
                del self.taints[taint]
        for column in self.labels.values():
            column[row] = MISSING
        for resources in self.allocatable.values():
            resources[row] = 0
        self._free.append(row)
        self._touch(row)

    def intern(self, key: str, value: str) -> int:
        """The number of a label's value; the same text has the same number."""
        return self._values.setdefault(key, {}).setdefault(value, len(self._values[key]))

    def interned(self, key: str, value: str) -> int:
        """The number of a value if any node had it, else a number that no node has."""
        return self._values.get(key, {}).get(value, -2)

    def texts(self, key: str) -> list[str]:
        """The values of a label by their numbers."""
        return list(self._values.get(key, {}))

    # Pods

    def set_pod(self, pod: Pod, node: str, request: Request | None = None) -> None:
        """A pod is on a node (bound, or assumed to be)."""
        uid = pod.metadata.uid
        known = self._pods.get(uid)
        if known is not None:
            if known[0] is pod and known[1] == node:
                return
            self.drop_pod(uid)
        asked = request if request is not None else scheduling_requests.of(pod)
        self._pods[uid] = (pod, node, asked)
        self._by_node.setdefault(node, {})[uid] = None
        self._by_namespace.setdefault(pod.metadata.namespace, {})[uid] = None
        row = self._row.get(node)
        if row is not None:
            self._count_pod(pod, row, asked, 1)

    def drop_pod(self, uid: str) -> None:
        """A pod is no longer on its node."""
        known = self._pods.pop(uid, None)
        if known is None:
            return
        pod, node, request = known
        _discard(self._by_node, node, uid)
        _discard(self._by_namespace, pod.metadata.namespace, uid)
        row = self._row.get(node)
        if row is not None:
            self._count_pod(pod, row, request, -1)

    def has_pod(self, uid: str) -> bool:
        """Whether a pod is on a node."""
        return uid in self._pods

    def pods_on(self, name: str) -> list[Pod]:
        """The pods of one node."""
        return [self._pods[uid][0] for uid in self._by_node.get(name, ())]

    def pods(self) -> Iterable[tuple[Pod, int]]:
        """Every pod that is on a node, with the node's row."""
        for pod, node, _ in self._pods.values():
            row = self._row.get(node)
            if row is not None:
                yield pod, row

    def matching(
        self, key: Hashable, matches: Matches, namespace: str, selector: labels.Selector
    ) -> Ints:
        """How many pods on each node match; kept up to date from the first call on.

        ``namespace`` ("" for any) and ``selector`` are necessary conditions of ``matches``.
        """
        found = self._counts.find(key)
        if found is None:
            found = self._ints()
            uids = self._by_namespace.get(namespace, ()) if namespace else self._pods
            for uid in uids:
                pod, node, _ = self._pods[uid]
                row = self._row.get(node)
                if row is not None and matches(pod):
                    found[row] += 1
            bucket = counts.bucket(namespace, selector)
            self._counts.remember(Query(key, bucket, matches, found))
        return found[: self.size]

    def ports_taken(self, rows: slice | Ints, port: tuple[str, str, int]) -> Bools | None:
        """Where a host port (protocol, address, port) is in use: on the same address, or one of the
        two is any address. None: free on all nodes."""
        protocol, address, number = port
        taken: Bools | None = None
        for other, held in self._ports.get((protocol, number), {}).items():
            if address in (other, "0.0.0.0") or other == "0.0.0.0":
                here = held[rows] > 0
                taken = here if taken is None else taken | here
        return taken

    def _count_all(self, name: str, row: int, sign: int) -> None:
        for uid in self._by_node.get(name, ()):
            pod, _, request = self._pods[uid]
            self._count_pod(pod, row, request, sign)

    def _count_pod(self, pod: Pod, row: int, request: Request, sign: int) -> None:
        self.pod_count[row] += sign
        self.scored_cpu[row] += sign * request.cpu
        self.scored_memory[row] += sign * request.memory
        for resource, value in request.resources.items():
            self._column(self.requested, resource)[row] += sign * value
        for protocol, address, port in request.ports:
            by_address = self._ports.setdefault((protocol, port), {})
            if address not in by_address:
                by_address[address] = self._ints()
            by_address[address][row] += sign
        self._counts.pod(pod, row, sign)
        self.terms.pod(pod, row, sign, self._capacity)
        self._touch(row)

    def _touch(self, row: int) -> None:
        self._touched.append(row)
        if len(self._touched) > 2 * TOUCHED_KEPT:
            del self._touched[:TOUCHED_KEPT]
            self._forgotten += TOUCHED_KEPT

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

        def longer(array: NDArray[Item], fill: int = 0) -> NDArray[Item]:
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
        self._counts.grow(longer)
        self.terms.grow(longer)

    def _column(self, columns: dict[str, Ints], name: str) -> Ints:
        column = columns.get(name)
        if column is None:
            column = columns[name] = self._ints()
        return column

    def _ints(self) -> Ints:
        return np.zeros(self._capacity, np.int64)

    def _bools(self) -> Bools:
        return np.zeros(self._capacity, np.bool_)


def _alike(old: Node | None, new: Node) -> bool:
    """Whether a node's change does not matter to the columns (a heartbeat, an image)."""
    return (
        old is not None
        and old.spec == new.spec
        and old.metadata.labels == new.metadata.labels
        and old.status.allocatable == new.status.allocatable
        and old.status.capacity == new.status.capacity
    )


def _discard(sets: dict[str, dict[str, None]], key: str, uid: str) -> None:
    uids = sets[key]
    del uids[uid]
    if not uids:
        del sets[key]
