"""The pod affinity terms of pods on nodes: equal terms are stored once, with their counts.

A thousand replicas with the same anti-affinity are one term with a thousand counted pods: the cost
grows with the number of different terms, not of pods.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import Enum

import msgspec
import numpy as np
from numpy.typing import NDArray

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import WeightedPodAffinityTerm
from trireme.domain.affinity_terms import Term

Ints = NDArray[np.int64]
_encode = msgspec.json.Encoder(order="deterministic").encode


class TermType(Enum):
    """The list of a pod's affinity that a term is in."""

    REQUIRED_AFFINITY = "required affinity"
    REQUIRED_ANTI_AFFINITY = "required anti-affinity"
    PREFERRED_AFFINITY = "preferred affinity"
    PREFERRED_ANTI_AFFINITY = "preferred anti-affinity"


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
