"""DaemonSets: run one pod on every node that fits.

In: DaemonSets, nodes, pods, ControllerRevisions. Out: pods created, deleted, adopted and released;
revisions; status; events. Decisions are in ``plan``. Run by ``manager``. Upstream:
pkg/controller/daemon; https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import msgspec

from trireme.api.apps.v1.daemonset import DaemonSet, DaemonSetStatus
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.workloads import batches
from trireme.controllers.workloads.daemonset import compute_pods, plan
from trireme.controllers.workloads.daemonset.compute_backoff import Backoff
from trireme.controllers.workloads.daemonset.compute_pods import Fit, Placement
from trireme.controllers.workloads.history import compute_revisions
from trireme.controllers.workloads.history.revisions import History
from trireme.controllers.workloads.owned_pods import OwnedPods, of_spec
from trireme.controllers.workloads.pod_control import PodControl
from trireme.machinery import errors
from trireme.runtime import keys, recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key
from trireme.runtime.pace import Pace
from trireme.runtime.written import WAIT, Written

# A look at so many nodes is worth waiting a second for more to happen.
NODES_PER_SECOND = 10_000


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return DaemonSets(context).loop


class DaemonSets:
    """The caches, the backoffs, and the executor."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._written = Written(context.env.clock, context.env.metrics, "daemonset_controller")
        self._pace = Pace(context.env.clock)
        # Of the generation that was observed when the pods failed: a new one begins anew.
        self._backoffs: dict[Key, tuple[int, dict[str, Backoff]]] = {}
        self._sets = context.informers.of(DaemonSet)
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        self._history = History(context, self._written)
        self._control = PodControl(context.client, context.recorder, self._written, self._pods)
        self._owned = OwnedPods(self._sets, self._pods, DaemonSet, self._written)
        workers = context.settings.workers.daemonset
        self.loop = Controller("daemonset", self.reconcile, context.env, workers=workers)
        self.loop.watch(self._sets, triggers.own())
        self.loop.watch(self._pods, self._owned.concerned, self._pace.delay)
        self.loop.watch(self._nodes, self._of_node, self._pace.delay)
        # Not what wakes it up, but what has to be there first.
        self.loop.watch(self._history.informer, lambda event: ())

    async def reconcile(self, key: Key) -> After | None:
        """One step for one DaemonSet."""
        found = self._sets.get(*key)
        if found is None:
            self._written.forget(key)
            self._pace.forget(key)
            self._backoffs.pop(key, None)
            return None
        if of_spec(found).empty():
            message = "This daemon set is selecting all pods. A non-empty selector is required."
            self._events.event(found, recorder.WARNING, "SelectingAll", message)
            return None
        # What it owned may be orphaned or deleted already: neither pods nor status are its own.
        if found.metadata.deletionTimestamp is not None:
            return None
        if not self._written.visible(key):
            return WAIT
        nodes = self._nodes.list()
        self._pace.looked(key, len(nodes) / NODES_PER_SECOND)
        revisions = await self._history.claim(found)
        owned = await self._owned.claim(self._client, found)
        current, collisions = await self._history.current(found, revisions)
        revision = (compute_revisions.hash_of(current), collisions)
        backoffs = self._backoffs_of(key, found)
        planned = plan.plan(found, nodes, owned, revision, backoffs, self._clock.now())
        self._backoffs[key] = (found.status.observedGeneration, planned.backoffs)
        for event in planned.events:
            self._events.event(found, *event)
        failure = await self._act(found, planned, revision[0])
        await self._report(found, planned.status)
        if failure is not None:
            raise failure
        old = [item for item in revisions if item.metadata.name != current.metadata.name]
        hashes = {pod.metadata.labels.get(compute_pods.HASH, "") for pod in owned}
        live = {item.metadata.name for item in old if compute_revisions.hash_of(item) in hashes}
        await self._history.truncate(found, old, live, counted=len(live))
        return None if planned.revisit is None else After(planned.revisit)

    def _backoffs_of(self, key: Key, found: DaemonSet) -> dict[str, Backoff]:
        generation, backoffs = self._backoffs.get(key, (0, {}))
        return backoffs if generation == found.status.observedGeneration else {}

    async def _act(
        self, found: DaemonSet, planned: plan.Plan, revision_hash: str
    ) -> Exception | None:
        """Create and delete pods; the first error, after all was tried."""
        template = compute_pods.template_of(found, revision_hash)
        ahead = iter(planned.create)
        _, failure = await batches.slow_start(
            len(planned.create),
            lambda: self._control.create(found, compute_pods.pod_of(found, template, next(ahead))),
        )
        _, other = await batches.all_at_once(
            partial(self._control.delete, found, pod) for pod in planned.delete
        )
        return failure or other

    async def _report(self, found: DaemonSet, status: DaemonSetStatus) -> None:
        if status == found.status:
            return
        changed = msgspec.structs.replace(found, status=status)
        try:
            stored = await self._client.update(changed, subresource="status")
        except errors.ApiError as error:
            # It went in the meantime; nobody reads its status.
            if not errors.is_not_found(error):
                raise
        else:
            self._written.wrote(keys.of(found.metadata), self._sets, stored)

    def _of_node(self, event: Event[Node]) -> Iterable[Key]:
        """The DaemonSets for which the node fits otherwise than before."""
        node, old = event.object, event.old
        if event.type == DELETED:
            old = old or node
        elif old is not None and (old.metadata.labels, old.spec.taints) == (
            node.metadata.labels,
            node.spec.taints,
        ):
            return
        nowhere = Fit(False, False)
        for daemon_set in self._sets.list():
            placement = Placement(daemon_set)
            before = placement.fit(old) if old is not None else nowhere
            after = placement.fit(node) if event.type != DELETED else nowhere
            if before != after:
                yield keys.of(daemon_set.metadata)


CONTROLLER = Definition(
    "daemonset-controller", make, account="daemon-set-controller", component="daemonset-controller"
)
