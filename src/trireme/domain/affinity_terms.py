"""A term of a pod's affinity to pods, compiled. Pure; for the scheduler and the cluster autoscaler.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import PodAffinityTerm
from trireme.machinery import labels, selection

# The labels of namespaces.
Namespaces = Mapping[str, dict[str, str]]


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
