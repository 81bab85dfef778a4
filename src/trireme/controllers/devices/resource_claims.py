"""ResourceClaims of pods: made from templates, reserved, released, and deleted when not needed.

In: pods, claims, templates. Out: claims, the names of claims in the status of pods, Events. Run by
``manager``. The scheduler allocates devices and reserves claims for the pods that it binds.
Upstream: pkg/controller/resourceclaim;
https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable

import msgspec
import prometheus_client
from prometheus_client.core import GaugeMetricFamily

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodResourceClaim
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceclaimtemplate import ResourceClaimTemplate
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.devices import plan_claims, pod_claims
from trireme.domain import pod_references
from trireme.kit import metrics
from trireme.machinery import errors, meta
from trireme.runtime import index, keys, recorder, triggers
from trireme.runtime.controller import After, Controller, Terminal
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key
from trireme.runtime.written import WAIT, Written

MANAGER = "ResourceClaimController"
# So many deleted pods are remembered, for which the API server need not be asked.
REMEMBERED = 500
_CREATES = "resourceclaim_controller_creates"
_CLAIMS = "resourceclaim_controller_resource_claims"


class NotCreated(Terminal):
    """There is no such template yet. When it comes, its pods come back."""


def make(context: ControllerContext) -> ResourceClaims:
    """Both loops: over pods, and over claims."""
    return ResourceClaims(context)


class ResourceClaims:
    """Keeps which pods were deleted of late."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._env = context.env
        self._pods = context.informers.of(Pod)
        self._claims = context.informers.of(ResourceClaim)
        self._templates = context.informers.of(ResourceClaimTemplate)
        self._written = Written(context.env.clock)
        self._deleted: deque[str] = deque(maxlen=REMEMBERED)
        self._pods.add_index(by_claims)
        self._pods.add_index(by_templates)
        self._claims.add_index(index.controller_uid)
        self._creates = metrics.family(
            context.env.metrics,
            prometheus_client.Counter,
            _CREATES,
            "Number of ResourceClaims creation requests",
            ("status", "admin_access"),
        )
        self._of_pods = Controller(
            "resource_claim",
            self.reconcile_pod,
            context.env,
            triggers=[
                (self._pods, triggers.only(_has_claims, triggers.own())),
                (self._claims, self._pods_of_claim),
                (self._templates, self._pods_of_template),
            ],
            workers=context.settings.workers.resourceclaim,
        )
        self._of_claims = Controller(
            "resource_claim_consumers",
            self.reconcile_claim,
            context.env,
            triggers=[(self._claims, triggers.own()), (self._pods, self._claims_of_pod)],
            workers=context.settings.workers.resourceclaim,
        )

    async def run(self) -> None:
        """Both loops, until cancelled."""
        collector = _Collector(self._claims.list)
        self._env.metrics.register(collector)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._of_pods.run())
                group.create_task(self._of_claims.run())
        finally:
            self._env.metrics.unregister(collector)

    async def reconcile_pod(self, key: Key) -> After | None:
        """Make the claims that the pod lacks, and name all in its status."""
        pod = self._pods.get(*key)
        # The claim of a pod that is over was deleted, and is not to come again.
        if pod is None or pod.metadata.deletionTimestamp is not None or pod_claims.is_done(pod):
            self._written.forget(key)
            return None
        if not self._written.visible(key):
            return WAIT

        def claim_of(name: str) -> ResourceClaim | None:
            return self._claims.get(key.namespace, name)

        owned = self._claims.by_index(index.controller_uid, pod.metadata.uid)
        plan = plan_claims.plan_pod(pod, claim_of, owned)
        names = dict(plan.names)
        for item in plan.create:
            try:
                names[item.name] = (await self._create(pod, item)).metadata.name
            except (errors.ApiError, NotCreated) as error:
                if errors.is_namespace_terminating(error):
                    return None
                message = f"PodResourceClaim {item.name}: {error}"
                self._events.event(pod, recorder.WARNING, "FailedResourceClaimCreation", message)
                raise
        statuses = pod.status.resourceClaimStatuses
        known = {item.name: item.resourceClaimName for item in statuses}
        if any(known.get(item) != name for item, name in names.items()):
            await self._apply_names(pod, {**known, **names})
            # The pod comes back with its new status.
            return None
        for claim in plan_claims.plan_reservations(pod, claim_of):
            self._written.wrote(key, self._claims, await self._client.update_status(claim))
        return None

    async def _create(self, pod: Pod, item: PodResourceClaim) -> ResourceClaim:
        name = item.resourceClaimTemplateName or ""
        template = self._templates.get(pod.metadata.namespace, name)
        if template is None:
            raise NotCreated(
                f'resource claim template "{name}": resourceclaimtemplate.resource.k8s.io '
                f'"{name}" not found'
            )
        claim = plan_claims.compute_claim(pod, item, template)
        admin = _text(plan_claims.has_admin_access(claim))
        try:
            made = await self._client.create(claim)
        except errors.ApiError as error:
            self._creates.labels("failure", admin).inc()
            error.message = f"create ResourceClaim {claim.metadata.name}: {error.message}"
            raise
        self._creates.labels("success", admin).inc()
        self._written.wrote(keys.of(pod.metadata), self._claims, made)
        return made

    async def _apply_names(self, pod: Pod, names: dict[str, str | None]) -> None:
        statuses = [
            {"name": item} if name is None else {"name": item, "resourceClaimName": name}
            for item, name in names.items()
        ]
        desired = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod.metadata.name, "uid": pod.metadata.uid},
            "status": {"resourceClaimStatuses": statuses},
        }
        place = (pod.metadata.name, pod.metadata.namespace)
        try:
            await self._client.of(Pod).apply(*place, desired, MANAGER, subresource="status")
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    async def reconcile_claim(self, key: Key) -> None:
        """Release it from pods that are over, deallocate and delete it when nobody needs it."""
        claim = self._claims.get(*key)
        if claim is None:
            return
        owner = self._pods.get(key.namespace, plan_claims.owning_pod(claim))
        plan = plan_claims.plan_claim(claim, await self._gone(claim), owner)
        if plan.status is not None:
            claim = msgspec.structs.replace(claim, status=plan.status)
            claim = await self._client.update_status(claim)
        if plan.drop_finalizer:
            finalizers = [f for f in claim.metadata.finalizers if f != plan_claims.FINALIZER]
            metadata = msgspec.structs.replace(claim.metadata, finalizers=finalizers)
            await self._client.update(msgspec.structs.replace(claim, metadata=metadata))
        if plan.delete:
            options = meta.DeleteOptions(preconditions=meta.Preconditions(uid=claim.metadata.uid))
            try:
                await self._client.delete(ResourceClaim, key.name, key.namespace, options)
            except errors.ApiError as error:
                if not errors.is_not_found(error):
                    raise

    async def _gone(self, claim: ResourceClaim) -> set[str]:
        """The uids of the pods that the claim is reserved for and that will not use it. Of one that
        no cache knows, the API server is asked: the scheduler may be ahead of the cache."""
        gone = set()
        for consumer in claim.status.reservedFor:
            if not plan_claims.is_pod(consumer):
                continue
            pod = self._pods.get(claim.metadata.namespace, consumer.name)
            if pod is None and consumer.uid not in self._deleted:
                try:
                    pod = await self._client.get(Pod, consumer.name, claim.metadata.namespace)
                except errors.ApiError as error:
                    if not errors.is_not_found(error):
                        raise
            if pod is None or pod.metadata.uid != consumer.uid or pod_claims.is_done(pod):
                gone.add(consumer.uid)
        return gone

    def _claims_of_pod(self, event: Event[Pod]) -> Iterable[Key]:
        """The claims of a pod that will not run, or no longer does."""
        pod = event.object
        if event.type == DELETED and _has_claims(event):
            self._deleted.append(pod.metadata.uid)
        elif not pod_claims.is_done(pod):
            return ()
        return [
            Key(pod.metadata.namespace, name)
            for name in sorted(pod_references.resource_claims(pod))
        ]

    def _pods_of_claim(self, event: Event[ResourceClaim]) -> Iterable[Key]:
        return map(_key, self._pods.by_index(by_claims, event.key))

    def _pods_of_template(self, event: Event[ResourceClaimTemplate]) -> Iterable[Key]:
        return map(_key, self._pods.by_index(by_templates, event.key))


class _Collector:
    """How many claims there are, counted when metrics are read."""

    def __init__(self, claims: Callable[[], Iterable[ResourceClaim]]) -> None:
        self._claims = claims

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The one family, by allocation, administrative access and source."""
        count = Counter(
            (
                _text(claim.status.allocation is not None),
                _text(plan_claims.has_admin_access(claim)),
                plan_claims.source_of(claim),
            )
            for claim in self._claims()
        )
        labels = ("allocated", "admin_access", "source")
        found = GaugeMetricFamily(_CLAIMS, "Number of ResourceClaims", labels=labels)
        for values, number in count.items():
            found.add_metric(values, number)
        yield found


def _text(value: bool) -> str:
    return "true" if value else "false"


def _key(pod: Pod) -> Key:
    return keys.of(pod.metadata)


def _has_claims(event: Event[Pod]) -> bool:
    pod = event.object
    return bool(pod.spec.resourceClaims) or pod.status.extendedResourceClaimStatus is not None


def by_claims(pod: Pod) -> Iterable[Hashable]:
    """Index of pods: the key of each claim that they name or got."""
    return [
        Key(pod.metadata.namespace, name) for name in sorted(pod_references.resource_claims(pod))
    ]


def by_templates(pod: Pod) -> Iterable[Hashable]:
    """Index of pods: the key of each template that they name."""
    named = (item.resourceClaimTemplateName for item in pod.spec.resourceClaims)
    return [Key(pod.metadata.namespace, name) for name in named if name is not None]


CONTROLLER = Definition(
    "resourceclaim-controller",
    make,
    account="resource-claim-controller",
    component="resource_claim",
)
