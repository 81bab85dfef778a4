"""Which objects the pods of a node name: what lets the node read them.

In: the stored pods, followed event by event. Out: whether an object is related to a node. Nothing
runs in the background: a question first takes in what was written since the last one. Asked by
``authorizer``. Volumes behind claims, attachments and device slices are kinds that are not served
yet; a node is related to none of them. Upstream: plugin/pkg/auth/authorizer/node/graph.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.endpoint import Endpoint
from trireme.domain import pod_references as references
from trireme.store.contract import DELETED, Store, Subscription, SubscriptionClosed

# (resource, namespace, name)
Object = tuple[str, str, str]


class Related:
    """Counts, for every object, how many pods of each node name it."""

    def __init__(self, store: Store, pods: Endpoint) -> None:
        self._store = store
        self._pods = pods
        self._events: Subscription | None = None
        # What each stored pod that is on a node gave: its node, and the objects that it names.
        self._given: dict[str, tuple[str, frozenset[Object]]] = {}
        self._nodes: dict[Object, Counter[str]] = {}

    def is_related(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Whether a pod on the node names the object, or is it. StoreUnavailable."""
        self._catch_up()
        return (resource, namespace, name) in self._nodes and bool(
            self._nodes[resource, namespace, name][node]
        )

    def _catch_up(self) -> None:
        if self._events is None:
            self._rebuild()
            return
        if self._events.revision == self._store.revision:
            return
        try:
            for event in self._events.take():
                if event.type == DELETED:
                    self._remove(event.key)
                else:
                    self._add(event.key, event.value)
        except SubscriptionClosed:
            # More was written since the last question than is kept for us.
            self._rebuild()

    def _rebuild(self) -> None:
        self._given.clear()
        self._nodes.clear()
        self._events = self._store.watch(self._pods.root, self._store.revision)
        for item in self._store.list(self._pods.root).items:
            self._add(item.key, item.value)

    def _add(self, key: str, value: bytes) -> None:
        pod: Pod = self._pods.decode(value)
        node = pod.spec.nodeName
        objects = frozenset(_named(pod)) if node else frozenset()
        if self._given.get(key) == (node, objects):
            return
        self._remove(key)
        if not node:
            return
        self._given[key] = node, objects
        for item in objects:
            self._nodes.setdefault(item, Counter())[node] += 1

    def _remove(self, key: str) -> None:
        node, objects = self._given.pop(key, ("", frozenset()))
        for item in objects:
            counts = self._nodes[item]
            counts[node] -= 1
            if not counts[node]:
                del counts[node]
            if not counts:
                del self._nodes[item]


def _named(pod: Pod) -> Iterator[Object]:
    namespace = pod.metadata.namespace
    yield "pods", namespace, pod.metadata.name
    if references.is_mirror(pod):
        # A node makes these itself: they must not give it rights.
        return
    if pod.spec.serviceAccountName:
        yield "serviceaccounts", namespace, pod.spec.serviceAccountName
    for resource, names in (
        ("secrets", references.secrets(pod)),
        ("configmaps", references.config_maps(pod)),
        ("persistentvolumeclaims", references.claims(pod)),
        ("resourceclaims", references.resource_claims(pod)),
    ):
        for name in names:
            yield resource, namespace, name
