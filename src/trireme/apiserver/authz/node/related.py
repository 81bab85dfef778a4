"""Which objects belong to a node: what its pods name, and what is behind their claims.

In: the stored pods, persistent volumes and attachments, followed event by event. Out: whether an
object is related to a node. Nothing runs in the background: a question first takes in what was
written since the last one. Asked by ``authorizer``.
Upstream: plugin/pkg/auth/authorizer/node/graph.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trireme.api.certificates.v1beta1.pcr_types import PodCertificateRequest
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.resource.v1.resourceslice_types import ResourceSlice
from trireme.api.storage.v1.volumeattachment import VolumeAttachment
from trireme.apiserver.endpoint import Endpoint
from trireme.domain import pod_references as references
from trireme.store.contract import DELETED, Store, Subscription, SubscriptionClosed

# (resource, namespace, name)
Object = tuple[str, str, str]


class Related:
    """Answers questions from the kinds that it follows, each from the first question on."""

    def __init__(self, store: Store, by_type: Mapping[type, Endpoint]) -> None:
        self._pods = _Edges(store, by_type[Pod], _of_pod)
        self._volumes = _Edges(store, by_type[PersistentVolume], _of_volume)
        # Those that name their node themselves.
        self._own = {
            "volumeattachments": _Edges(store, by_type[VolumeAttachment], _of_attachment),
            "resourceslices": _Edges(store, by_type[ResourceSlice], _of_slice),
            "podcertificaterequests": _Edges(store, by_type[PodCertificateRequest], _of_request),
        }

    def is_related(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Whether a pod on the node names the object, is it, or has a claim whose volume does; or
        it is an attachment to the node. StoreUnavailable."""
        item = resource, namespace, name
        match resource:
            case "volumeattachments" | "resourceslices" | "podcertificaterequests":
                return self._own[resource].has(item, node)
            case "persistentvolumes":
                return self._has_claim_of(node, item)
            case "secrets":
                return self._pods.has(item, node) or self._has_claim_of(node, item)
            case _:
                return self._pods.has(item, node)

    def _has_claim_of(self, node: str, item: Object) -> bool:
        return any(self._pods.has(claim, node) for claim in self._volumes.of(item))


class _Edges:
    """The edges that the stored objects of a kind make: ``edges`` says to what each object relates
    which others. Counted, as several objects may make the same one."""

    def __init__(
        self,
        store: Store,
        endpoint: Endpoint,
        edges: Callable[[Any], tuple[Any, frozenset[Object]]],
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._edges = edges
        self._events: Subscription | None = None
        # What each stored object gave.
        self._given: dict[str, tuple[Any, frozenset[Object]]] = {}
        self._ends: dict[Object, Counter[Any]] = {}

    def has(self, item: Object, end: Any) -> bool:
        return bool(self.of(item)[end])

    def of(self, item: Object) -> Counter[Any]:
        """The ends of the object's edges."""
        self._catch_up()
        return self._ends.get(item) or Counter()

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
        self._ends.clear()
        self._events = self._store.watch(self._endpoint.root, self._store.revision)
        for item in self._store.list(self._endpoint.root).items:
            self._add(item.key, item.value)

    def _add(self, key: str, value: bytes) -> None:
        end, objects = self._edges(self._endpoint.decode(value))
        if self._given.get(key) == (end, objects):
            return
        self._remove(key)
        if not end:
            return
        self._given[key] = end, objects
        for item in objects:
            self._ends.setdefault(item, Counter())[end] += 1

    def _remove(self, key: str) -> None:
        end, objects = self._given.pop(key, ("", frozenset()))
        for item in objects:
            counts = self._ends[item]
            counts[end] -= 1
            if not counts[end]:
                del counts[end]
            if not counts:
                del self._ends[item]


def _of_pod(pod: Pod) -> tuple[str, frozenset[Object]]:
    """The pod's node, and what it names."""
    node = pod.spec.nodeName
    return node, frozenset(_named(pod)) if node else frozenset()


def _of_volume(volume: PersistentVolume) -> tuple[Object | None, frozenset[Object]]:
    """The claim that has the volume; the volume and the secrets that a kubelet needs for it."""
    claim = volume.spec.claimRef
    if claim is None:
        return None, frozenset()
    found: set[Object] = {("persistentvolumes", "", volume.metadata.name)}
    source = volume.spec.csi
    if source is not None:
        for secret in (
            source.nodeStageSecretRef,
            source.nodePublishSecretRef,
            source.nodeExpandSecretRef,
        ):
            if secret is not None:
                found.add(("secrets", secret.namespace, secret.name))
    return ("persistentvolumeclaims", claim.namespace, claim.name), frozenset(found)


def _of_attachment(attachment: VolumeAttachment) -> tuple[str, frozenset[Object]]:
    item = "volumeattachments", "", attachment.metadata.name
    return attachment.spec.nodeName, frozenset({item})


def _of_slice(devices: ResourceSlice) -> tuple[str, frozenset[Object]]:
    return devices.spec.nodeName or "", frozenset({("resourceslices", "", devices.metadata.name)})


def _of_request(request: PodCertificateRequest) -> tuple[str, frozenset[Object]]:
    meta = request.metadata
    item = "podcertificaterequests", meta.namespace, meta.name
    return request.spec.nodeName, frozenset({item})


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
