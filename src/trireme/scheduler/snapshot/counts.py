"""How many pods on each node match a query: kept up to date as pods are added and removed.

A plugin makes a query (``Columns.matching``), which is kept under its key; the least recently used
ones are dropped. So that adding a pod stays cheap with hundreds of queries, they lie in buckets: by
namespace, and by one label with an exact value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trireme.api.core.v1.pod.pod import Pod
from trireme.machinery import labels

Ints = NDArray[np.int64]
Matches = Callable[[Pod], bool]
Bucket = tuple[str, tuple[str, str] | None]
ANY_NAMESPACE = ""
CAPACITY = 512


@dataclass
class Query:
    """``counts`` has one number for each row."""

    key: Hashable
    bucket: Bucket
    matches: Matches
    counts: Ints


class Counts:
    """The kept queries."""

    def __init__(self) -> None:
        self._queries: dict[Hashable, Query] = {}
        self._buckets: dict[Bucket, dict[Hashable, Query]] = {}

    def find(self, key: Hashable) -> Ints | None:
        """The counts of a kept query, which is now the most recently used."""
        known = self._queries.pop(key, None)
        if known is None:
            return None
        self._queries[key] = known
        return known.counts

    def remember(self, query: Query) -> None:
        """Keep a query's counts up to date from now on."""
        if len(self._queries) >= CAPACITY:
            self._forget(next(iter(self._queries)))
        self._queries[query.key] = query
        self._buckets.setdefault(query.bucket, {})[query.key] = query

    def pod(self, pod: Pod, row: int, sign: int) -> None:
        """A pod was added to (+1) or removed from (-1) a row."""
        if not self._buckets:
            return
        for namespace in (ANY_NAMESPACE, pod.metadata.namespace):
            for pair in (None, *pod.metadata.labels.items()):
                for query in self._buckets.get((namespace, pair), {}).values():
                    if query.matches(pod):
                        query.counts[row] += sign

    def grow(self, longer: Callable[[Ints], Ints]) -> None:
        """All arrays get more rows."""
        for query in self._queries.values():
            query.counts = longer(query.counts)

    def _forget(self, key: Hashable) -> None:
        query = self._queries.pop(key)
        bucket = self._buckets[query.bucket]
        del bucket[key]
        if not bucket:
            del self._buckets[query.bucket]


def bucket(namespace: str, selector: labels.Selector) -> Bucket:
    """Where pods that ``selector`` can match are found."""
    for requirement in selector.requirements:
        value = selector.exact(requirement.key)
        if value is not None:
            return namespace, (requirement.key, value)
    return namespace, None
