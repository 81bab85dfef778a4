"""The pods of a kind of owner: which owner a pod's change concerns, and which pods are an owner's.

In: the informers of the owners and of pods. Out: keys for a control loop; an owner's pods, after
those that it has to take or to let go were. Used by the controllers of workloads. Upstream:
pkg/controller/controller_ref_manager and the handlers of pods in each controller.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from trireme.api.core.v1.pod.pod import Pod
from trireme.client.client import Client
from trireme.client.resource_interface import DELETED
from trireme.controllers.workloads import claims
from trireme.domain import adoption, owners
from trireme.machinery import labels
from trireme.machinery.labels import Selector
from trireme.runtime import keys, triggers
from trireme.runtime.informer import Event, Informer
from trireme.runtime.keys import Key
from trireme.runtime.written import Written

T = TypeVar("T")


def by_controller(obj: Any) -> Iterable[Hashable]:
    """Index: (namespace, uid of the controller or "")."""
    return [(obj.metadata.namespace, owners.controller_uid(obj.metadata))]


def of_spec(owner: Any) -> Selector:
    """The selector of most kinds."""
    return labels.from_struct(owner.spec.selector)


class OwnedPods(Generic[T]):
    """``adopts`` says which orphans may be adopted at all; ``fits`` what a pod has to be beside
    matching the selector. Adopted pods get the ``finalizers``."""

    def __init__(
        self,
        owners_of: Informer[T],
        all_pods: Informer[Pod],
        kind: type,
        written: Written,
        *,
        selector: Callable[[T], Selector] = of_spec,
        fits: Callable[[T, Pod], bool] = lambda owner, pod: True,
        adopts: Callable[[Pod], bool] = lambda pod: True,
        finalizers: Sequence[str] = (),
    ) -> None:
        self._owners = owners_of
        self._pods = all_pods
        self._pods.add_index(by_controller)
        self._written = written
        self._selector = selector
        self._fits = fits
        self._adopts = adopts
        self._finalizers = finalizers
        # Made once to learn its constants.
        example = kind()
        self._kind = example.kind
        group = example.apiVersion.rpartition("/")[0]
        self._by_reference = triggers.controller(self._kind, group)

    def concerned(self, event: Event[Pod]) -> Collection[Key]:
        """The owners that a pod's change concerns: its own, before and after, or those that could
        adopt it."""
        found = dict.fromkeys(self._by_reference(event))
        if event.type != DELETED and owners.controller_of(event.object.metadata) is None:
            found |= dict.fromkeys(self._adopters(event))
        return found

    def owner_of(self, pod: Pod) -> T | None:
        """The owner that controls the pod, if it is the one that we know."""
        reference = owners.controller_of(pod.metadata)
        if reference is None or reference.kind != self._kind:
            return None
        owner: Any = self._owners.get(pod.metadata.namespace, reference.name)
        return owner if owner is not None and owner.metadata.uid == reference.uid else None

    def of(self, owner: Any) -> list[Pod]:
        """The pods that the cache shows as its own."""
        return self._pods.by_index(by_controller, (owner.metadata.namespace, owner.metadata.uid))

    async def claim(self, client: Client, owner: Any) -> list[Pod]:
        """The pods that belong to it, terminating and finished ones included."""
        candidates = self.of(owner)
        orphans = self._pods.by_index(by_controller, (owner.metadata.namespace, ""))
        candidates += [pod for pod in orphans if self._adopts(pod)]
        claim = adoption.claim(
            owner, self._selector(owner), candidates, lambda pod: self._fits(owner, pod)
        )
        mine = await claims.adopt_and_release(client, owner, claim, self._finalizers)
        adopted = {pod.metadata.uid for pod in claim.adopt}
        for pod in mine if adopted else ():
            if pod.metadata.uid in adopted:
                self._written.wrote(keys.of(owner.metadata), self._pods, pod)
        return mine

    def _adopters(self, event: Event[Pod]) -> Iterable[Key]:
        """The owners that could adopt an orphan."""
        pod, old = event.object, event.old
        was_orphan = old is not None and owners.controller_of(old.metadata) is None
        if old is not None and was_orphan and old.metadata.labels == pod.metadata.labels:
            return
        candidate: Any
        for candidate in self._owners.list(pod.metadata.namespace):
            if self._selector(candidate).matches(pod.metadata.labels):
                yield keys.of(candidate.metadata)
