"""The pod affinity terms of pods that are on nodes: equal terms are held once, with their counts.

A thousand replicas that keep away from each other are one term with a thousand counted pods, so
what existing pods want costs by the number of different wishes.
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


class Wish(Enum):
    """What a term asks for."""

    NEAR = "required affinity"
    AWAY = "required anti-affinity"
    PREFER_NEAR = "preferred affinity"
    PREFER_AWAY = "preferred anti-affinity"


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
        """Whether the namespaces are known by name: labels of namespaces play no part."""
        return self._by_label is None

    def matches(self, pod: Pod, namespaces: Namespaces) -> bool:
        """Whether the term means ``pod``."""
        namespace = pod.metadata.namespace
        if namespace not in self._names and (
            self._by_label is None or not self._by_label.matches(namespaces.get(namespace, {}))
        ):
            return False
        return self.selector.matches(pod.metadata.labels)


@dataclass
class Held:
    """A wish of pods on nodes; ``counts`` says how many on each row have it."""

    wish: Wish
    weight: int
    term: Term
    counts: Ints
    pods: int = 0


class Terms:
    """All wishes of the pods that are on nodes."""

    def __init__(self) -> None:
        self._held: dict[Hashable, Held] = {}
        self._compiled: dict[Hashable, tuple[tuple[Wish, int, Term], ...]] = {}

    def held(self) -> Iterable[Held]:
        return self._held.values()

    def pod(self, pod: Pod, row: int, sign: int, capacity: int) -> None:
        """A pod has come to (+1) or gone from (-1) a row."""
        if pod.spec.affinity is None:
            return
        for wish, weight, term in self.of(pod):
            key = (wish, weight, term.key)
            held = self._held.get(key)
            if held is None:
                held = Held(wish, weight, term, np.zeros(capacity, np.int64))
                self._held[key] = held
            held.counts[row] += sign
            held.pods += sign
            if held.pods == 0:
                del self._held[key]

    def of(self, pod: Pod) -> tuple[tuple[Wish, int, Term], ...]:
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
        for held in self._held.values():
            held.counts = longer(held.counts)


def _terms(pod: Pod) -> Iterable[tuple[Wish, int, Term]]:
    affinity = pod.spec.affinity
    if affinity is None:
        return
    for side, required, preferred in (
        (affinity.podAffinity, Wish.NEAR, Wish.PREFER_NEAR),
        (affinity.podAntiAffinity, Wish.AWAY, Wish.PREFER_AWAY),
    ):
        if side is None:
            continue
        for term in side.requiredDuringSchedulingIgnoredDuringExecution:
            yield required, 0, Term(term, pod)
        item: WeightedPodAffinityTerm
        for item in side.preferredDuringSchedulingIgnoredDuringExecution:
            yield preferred, item.weight, Term(item.podAffinityTerm, pod)
