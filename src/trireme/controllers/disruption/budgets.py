"""PodDisruptionBudgets: how many of the pods that one selects may be evicted now.

In: budgets, pods, and the controllers of pods for their number of replicas. Out: the status of
budgets; events. Decisions are in ``plan_budget``. Run by ``manager``. Upstream:
pkg/controller/disruption; https://kubernetes.io/docs/tasks/run-application/configure-pdb/.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final

from msgspec.structs import replace

from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.apps.v1.statefulset_types import StatefulSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.replicationcontroller import ReplicationController
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget, PodDisruptionBudgetStatus
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.disruption import plan_budget
from trireme.controllers.scales import NotServed, Scales
from trireme.domain import disruption, owners
from trireme.machinery import errors, gotext, labels
from trireme.machinery.meta import OwnerReference
from trireme.runtime import keys, recorder, triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event, Informer
from trireme.runtime.keys import Key

_UNMANAGED: Final = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a "
    "result, the status of the PDB cannot be calculated correctly, which may result in undefined "
    'behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an '
    "integer value."
)


class Budgets:
    """The state of the controller: caches."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._clock = context.env.clock
        self._scales = Scales(context.client, context.env)
        informers = context.informers
        self._budgets = informers.of(PodDisruptionBudget)
        self._pods = informers.of(Pod)
        self._budgets.add_index(by_namespace)
        self._pods.add_index(by_namespace)
        self._deployments = informers.of(Deployment)
        # Controllers of pods, by apiVersion and kind.
        self._controllers: dict[tuple[str, str], Informer[Any]] = {
            ("v1", "ReplicationController"): informers.of(ReplicationController),
            ("apps/v1", "ReplicaSet"): informers.of(ReplicaSet),
            ("apps/v1", "StatefulSet"): informers.of(StatefulSet),
        }
        self.loop = Controller(
            "disruption",
            self.reconcile,
            context.env,
            triggers=[
                (self._budgets, triggers.own()),
                (self._pods, self._guarding),
                *((informer, _nobody) for informer in self._controllers.values()),
                (self._deployments, _nobody),
            ],
        )

    async def reconcile(self, key: Key) -> After | None:
        """Bring the status of one budget up to date."""
        budget = self._budgets.get(*key)
        if budget is None:
            return None
        try:
            return await self._sync(budget)
        except errors.ApiError as error:
            if errors.is_conflict(error) or errors.is_not_found(error):
                raise
            failure: Exception = error
        except (ValueError, NotServed) as error:
            failure = error
        await self._write(budget, plan_budget.failed(budget, str(failure), self._clock.now()))
        return None

    async def _sync(self, budget: PodDisruptionBudget) -> After | None:
        try:
            selected = self._selected(budget)
        except ValueError as error:
            self._note(budget, recorder.WARNING, "NoPods", f"Failed to get pods: {error}")
            raise
        if not selected:
            self._note(budget, recorder.NORMAL, "NoPods", "No matching pods found")
        try:
            expected = await self._expected(budget, selected)
        except (errors.ApiError, ValueError, NotServed) as error:
            message = f"Failed to calculate the number of expected pods: {error}"
            self._note(budget, recorder.WARNING, "CalculateExpectedPodCountFailed", message)
            raise
        now = self._clock.now()
        gone = plan_budget.disrupted(budget, selected, now)
        for pod in gone.late:
            namespace = budget.metadata.namespace
            where = f"{namespace}/{budget.metadata.name}"
            message = f"Pod was expected by PDB {where} to be deleted but it wasn't"
            self._note(pod, recorder.WARNING, "NotDeleted", message)
        await self._write(budget, plan_budget.status(budget, selected, expected, gone, now))
        return None if gone.recheck is None else After(gone.recheck)

    async def _write(self, budget: PodDisruptionBudget, status: PodDisruptionBudgetStatus) -> None:
        if status == budget.status:
            return
        try:
            await self._client.update_status(replace(budget, status=status))
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    def _selected(self, budget: PodDisruptionBudget) -> list[Pod]:
        selector = labels.from_struct(budget.spec.selector)
        every = self._pods.by_index(by_namespace, budget.metadata.namespace)
        return [pod for pod in every if selector.matches(pod.metadata.labels)]

    async def _expected(self, budget: PodDisruptionBudget, selected: Sequence[Pod]) -> int:
        """How many pods there should be: the scale of all controllers of the selected pods."""
        if not plan_budget.needs_scale(budget):
            return len(selected) if budget.spec.minAvailable is not None else 0
        scale_of: dict[str, int] = {}
        looked_at: set[str] = set()
        unmanaged = False
        for pod in selected:
            reference = owners.controller_of(pod.metadata)
            if reference is None:
                unmanaged = True
            elif reference.uid not in looked_at:
                looked_at.add(reference.uid)
                uid, scale = await self._scale(pod, reference)
                scale_of[uid] = scale
        if unmanaged:
            message = _UNMANAGED.format(labels.go_text(budget.spec.selector))
            self._note(budget, recorder.WARNING, "UnmanagedPods", message)
        return sum(scale_of.values())

    async def _scale(self, pod: Pod, reference: OwnerReference) -> tuple[str, int]:
        """What the pod is counted with: its Deployment, or else its controller."""
        namespace = pod.metadata.namespace
        informer = self._controllers.get((reference.apiVersion, reference.kind))
        known = informer.get(namespace, reference.name) if informer is not None else None
        if known is not None and known.metadata.uid == reference.uid:
            above = owners.controller_of(known.metadata)
            if above is None or above.kind != "Deployment":
                return known.metadata.uid, known.spec.replicas
            deployment = self._deployments.get(namespace, above.name)
            if deployment is not None and deployment.metadata.uid == above.uid:
                return above.uid, deployment.spec.replicas or 0
        try:
            scale = await self._scales.get(
                reference.apiVersion, reference.kind, namespace, reference.name
            )
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
        else:
            if scale.metadata.uid == reference.uid:
                return reference.uid, scale.spec.replicas
        raise ValueError(f"found no controllers for pod {gotext.quote(pod.metadata.name)}")

    def _guarding(self, event: Event[Pod]) -> Iterable[Key]:
        """The budgets that select the pod, or did."""
        found: dict[Key, None] = {}
        for pod in (event.object, event.old):
            if pod is None:
                continue
            budgets = self._budgets.by_index(by_namespace, pod.metadata.namespace)
            guarding = disruption.guarding(pod, budgets) if budgets else []
            found |= dict.fromkeys(keys.of(budget.metadata) for budget in guarding)
            if len(guarding) > 1 and pod is event.object:
                meta = pod.metadata
                where = f"{gotext.quote(meta.namespace)}/{gotext.quote(meta.name)}"
                selected = gotext.quote(guarding[0].metadata.name)
                message = (
                    f"Pod {where} matches multiple PodDisruptionBudgets.  Chose {selected} "
                    "arbitrarily."
                )
                self._note(pod, recorder.WARNING, "MultiplePodDisruptionBudgets", message)
        return found

    def _note(self, obj: Any, kind: str, reason: str, message: str) -> None:
        self._events.event(obj, kind, reason, message)


def by_namespace(obj: Any) -> Iterable[Hashable]:
    """Index: the namespace."""
    return [obj.metadata.namespace]


def _nobody(_event: Event[Any]) -> Iterable[Key]:
    """Scales are read when a budget's pods change."""
    return ()


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return Budgets(context).loop


CONTROLLER = Definition("disruption-controller", make, component="controllermanager")
