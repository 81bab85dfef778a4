"""The pod affinity terms of pods on nodes: equal terms are stored once, with their counts.

A thousand replicas with the same anti-affinity are one term with a thousand counted pods: the cost
grows with the number of different terms, not of pods.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec
import numpy as np
from numpy.typing import NDArray

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import PodAffinityTerm, WeightedPodAffinityTerm
from trireme.machinery import labels, selection

Ints = NDArray[np.int64]
Namespaces = Mapping[str, dict[str, str]]
_encode = msgspec.json.Encoder(order="deterministic").encode


class TermType(Enum):
    """The list of a pod's affinity that a term is in."""

    REQUIRED_AFFINITY = "required affinity"
    REQUIRED_ANTI_AFFINITY = "required anti-affinity"
    PREFERRED_AFFINITY = "preferred affinity"
    PREFERRED_ANTI_AFFINITY = "preferred anti-affinity"


class Term:
    """A term of one owner, compiled. ``key`` is equal for terms that mean the same."""

    __slots__ = ("_by_label", "_names", "key", "selector", "topology_key")

    def __init__(self, term: PodAffinityTerm, owner: Pod) -> None:
        self.topology_key = term.topologyKey
        own = owner.metadata.labels
        selector = labels.from_struct(term.labelSelector)
        more = [
            labels.requirement(k, selection.IN, (own[k],)) for k in term.matchLabelKeys if k in own
        ]
        more += [
            labels.requirement(k, selection.NOT_IN, (own[k],))
            for k in term.mismatchLabelKeys
            if k in own
        ]
        self.selector = selector.add(*more) if more else selector
        self._names = frozenset(term.namespaces)
        self._by_label: labels.Selector | None = None
        if term.namespaceSelector is not None:
            self._by_label = labels.from_struct(term.namespaceSelector)
        elif not self._names:
            self._names = frozenset({owner.metadata.namespace})
        absent = term.labelSelector is None
        self.key: Hashable = (
            self.topology_key, absent, self.selector.requirements, self._names,
            None if self._by_label is None else self._by_label.requirements,
        )  # fmt: skip

    @property
    def is_fixed(self) -> bool:
        """Whether the namespaces are given by name: without a namespaceSelector."""
        return self._by_label is None

    def matches(self, pod: Pod, namespaces: Namespaces) -> bool:
        """Whether the term selects ``pod``."""
        namespace = pod.metadata.namespace
        if namespace not in self._names and (
            self._by_label is None or not self._by_label.matches(namespaces.get(namespace, {}))
        ):
            return False
        return self.selector.matches(pod.metadata.labels)


@dataclass
class ExistingTerm:
    """A term of pods on nodes; ``counts`` says how many on each row have it."""

    type_: TermType
    weight: int
    term: Term
    counts: Ints
    pods: int = 0


class Terms:
    """All terms of the pods on nodes."""

    def __init__(self) -> None:
        self._existing: dict[Hashable, ExistingTerm] = {}
        self._compiled: dict[Hashable, tuple[tuple[TermType, int, Term], ...]] = {}

    def existing(self) -> Iterable[ExistingTerm]:
        return self._existing.values()

    def pod(self, pod: Pod, row: int, sign: int, capacity: int) -> None:
        """A pod was added to (+1) or removed from (-1) a row."""
        if pod.spec.affinity is None:
            return
        for type_, weight, term in self.of(pod):
            key = (type_, weight, term.key)
            existing = self._existing.get(key)
            if existing is None:
                existing = ExistingTerm(type_, weight, term, np.zeros(capacity, np.int64))
                self._existing[key] = existing
            existing.counts[row] += sign
            existing.pods += sign
            if existing.pods == 0:
                del self._existing[key]

    def of(self, pod: Pod) -> tuple[tuple[TermType, int, Term], ...]:
        """The terms of a pod with their weights (0: required); equal pods share them."""
        affinity = pod.spec.affinity
        if affinity is None or (affinity.podAffinity is None and affinity.podAntiAffinity is None):
            return ()
        meta = pod.metadata
        key = _encode([affinity.podAffinity, affinity.podAntiAffinity, meta.namespace, meta.labels])
        known = self._compiled.get(key)
        if known is None:
            if len(self._compiled) >= 1024:
                self._compiled.clear()
            known = self._compiled[key] = tuple(_terms(pod))
        return known

    def grow(self, longer: Callable[[Ints], Ints]) -> None:
        """All arrays get more rows."""
        for existing in self._existing.values():
            existing.counts = longer(existing.counts)


def _terms(pod: Pod) -> Iterable[tuple[TermType, int, Term]]:
    affinity = pod.spec.affinity
    if affinity is None:
        return
    for side, required, preferred in (
        (affinity.podAffinity, TermType.REQUIRED_AFFINITY, TermType.PREFERRED_AFFINITY),
        (
            affinity.podAntiAffinity,
            TermType.REQUIRED_ANTI_AFFINITY,
            TermType.PREFERRED_ANTI_AFFINITY,
        ),
    ):
        if side is None:
            continue
        for term in side.requiredDuringSchedulingIgnoredDuringExecution:
            yield required, 0, Term(term, pod)
        item: WeightedPodAffinityTerm
        for item in side.preferredDuringSchedulingIgnoredDuringExecution:
            yield preferred, item.weight, Term(item.podAffinityTerm, pod)
