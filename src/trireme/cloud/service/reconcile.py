"""Load balancers of Services of type LoadBalancer.

In: Services, nodes. Out: calls of the provider's ``LoadBalancers``; the Service's status and
finalizer; events. Decisions are in ``plan_service``. Run by a controller manager. Upstream:
k8s.io/cloud-provider/controllers/service.

What was last given to the provider is remembered by Service: a Service that is new to this process
is given to it again (ensure), one whose nodes alone have changed is updated.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from trireme.api.core.v1.loadbalancer import LoadBalancerStatus
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.service import Service
from trireme.client.resource_interface import ADDED, DELETED
from trireme.cloud.contract import (
    ImplementedElsewhere,
    LoadBalancers,
    ProviderFailure,
    RetryAfter,
)
from trireme.cloud.definition import CloudContext, Definition
from trireme.cloud.service import plan_service as plan
from trireme.machinery import errors
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key
from trireme.runtime.recorder import NORMAL, WARNING

NAME = "service-lb-controller"
RETRY = (5.0, 300.0)


class _Synced(NamedTuple):
    service: Service
    nodes: dict[str, str]


class ServiceController:
    """One for the process; ``loop`` is its control loop."""

    def __init__(self, context: CloudContext, balancers: LoadBalancers) -> None:
        self._client = context.client
        self._events = context.recorder
        self._balancers = balancers
        self._cluster = context.settings.cluster_name
        self._services = context.informers.of(Service)
        self._nodes = context.informers.of(Node)
        self._synced: dict[Key, _Synced] = {}
        self.loop = Controller(
            "service",
            self.reconcile,
            context.env,
            triggers=[
                (self._services, triggers.only(self._concerns, triggers.own())),
                (self._nodes, self._balanced),
            ],
            workers=context.settings.concurrent_service_syncs,
            retry=RETRY,
        )

    def _concerns(self, event: Event[Any]) -> bool:
        new: Service = event.object
        if event.type == DELETED or plan.needs_cleanup(new):
            return True
        if event.old is None:
            return plan.wants_load_balancer(new)
        return plan.needs_update(event.old, new)

    def _balanced(self, event: Event[Any]) -> list[Key]:
        """Every load balancer, when the set of nodes may have changed."""
        node = event.object
        if event.type not in (ADDED, DELETED) and (
            event.old is None or not plan.changes_balancers(event.old, node)
        ):
            return []
        return list(self._synced)

    async def reconcile(self, key: Key) -> After | None:
        """Make one Service's load balancer as it should be."""
        service, last = self._services.get(*key), self._synced.get(key)
        if last is not None and (
            service is None or service.metadata.uid != last.service.metadata.uid
        ):
            # It went without its finalizer: somebody removed that.
            await self._delete_without_finalizer(last.service)
            del self._synced[key]
            last = None
        if service is None:
            return None
        if not plan.wants_load_balancer(service) or plan.needs_cleanup(service):
            return await self._attempt(key, service, self._delete(key, service))
        nodes = plan.balanced_nodes(self._nodes.list())
        if last is None or plan.needs_update(last.service, service):
            again = await self._attempt(key, service, self._ensure(key, service, nodes))
            # A node that came meanwhile did not find this Service among those to update.
            late = key in self._synced and self._synced[key].nodes != self._identities()
            return After(0.0) if late else again
        if last.nodes != plan.identities(nodes):
            await self._update(key, service, nodes)
        return None

    def _identities(self) -> dict[str, str]:
        return plan.identities(plan.balanced_nodes(self._nodes.list()))

    async def _attempt(self, key: Key, service: Service, work: Any) -> After | None:
        try:
            await work
        except Exception as error:
            self._synced.pop(key, None)
            # What is stored is older than what we know of, or it is gone: nobody's failure.
            if not (errors.is_conflict(error) or errors.is_not_found(error)):
                text = f"Error syncing load balancer: {error}"
                self._event(service, WARNING, "SyncLoadBalancerFailed", text)
            cause = error.__cause__
            if isinstance(cause, RetryAfter):
                return After(cause.seconds)
            raise
        return None

    async def _ensure(self, key: Key, service: Service, nodes: list[Node]) -> None:
        self._event(service, NORMAL, "EnsuringLoadBalancer", "Ensuring load balancer")
        await self._set_finalizer(service, present=True)
        if not nodes:
            self._no_nodes(service)
        try:
            status = await self._balancers.ensure_load_balancer(self._cluster, service, nodes)
        except ImplementedElsewhere:
            self._synced[key] = _Synced(service, plan.identities(nodes))
            return
        except Exception as error:
            raise _Failed(f"failed to ensure load balancer: {error}") from error
        self._event(service, NORMAL, "EnsuredLoadBalancer", "Ensured load balancer")
        await self._set_status(service, status)
        self._synced[key] = _Synced(service, plan.identities(nodes))

    async def _update(self, key: Key, service: Service, nodes: list[Node]) -> None:
        try:
            await self._balancers.update_load_balancer(self._cluster, service, nodes)
        except ImplementedElsewhere:
            pass
        except Exception as error:
            # The retry makes all of it anew.
            del self._synced[key]
            if await self._balancers.get_load_balancer(self._cluster, service) is not None:
                text = (
                    "Error updating load balancer with new hosts "
                    f"{plan.names_for_event(nodes)} [node names limited, total number of nodes: "
                    f"{len(nodes)}], error: {error}"
                )
                self._event(service, WARNING, "UpdateLoadBalancerFailed", text)
            raise
        else:
            if nodes:
                text = "Updated load balancer with new hosts"
                self._event(service, NORMAL, "UpdatedLoadBalancer", text)
            else:
                self._no_nodes(service)
        self._synced[key] = _Synced(service, plan.identities(nodes))

    async def _delete(self, key: Key, service: Service) -> None:
        try:
            found = await self._balancers.get_load_balancer(self._cluster, service)
        except Exception as error:
            text = f"failed to check if load balancer exists before cleanup: {error}"
            raise _Failed(text) from error
        if found is not None:
            self._event(service, NORMAL, "DeletingLoadBalancer", "Deleting load balancer")
            try:
                await self._balancers.ensure_load_balancer_deleted(self._cluster, service)
            except ImplementedElsewhere:
                pass
            except Exception as error:
                raise _Failed(f"failed to delete load balancer: {error}") from error
        # The status first: with the finalizer the Service may go.
        if service.metadata.deletionTimestamp is None:
            await self._set_status(service, LoadBalancerStatus())
        await self._set_finalizer(service, present=False)
        self._event(service, NORMAL, "DeletedLoadBalancer", "Deleted load balancer")
        self._synced.pop(key, None)

    async def _delete_without_finalizer(self, service: Service) -> None:
        if not plan.wants_load_balancer(service):
            return
        self._event(service, NORMAL, "DeletingLoadBalancer", "Deleting load balancer")
        try:
            await self._balancers.ensure_load_balancer_deleted(self._cluster, service)
        except ImplementedElsewhere:
            pass
        except Exception as error:
            text = f"Error deleting load balancer: {error}"
            self._event(service, WARNING, "DeleteLoadBalancerFailed", text)
            raise
        self._event(service, NORMAL, "DeletedLoadBalancer", "Deleted load balancer")

    def _no_nodes(self, service: Service) -> None:
        text = "There are no available nodes for LoadBalancer"
        self._event(service, WARNING, "UnAvailableLoadBalancer", text)

    async def _set_finalizer(self, service: Service, *, present: bool) -> None:
        change = plan.finalizer_change(service, present=present)
        if change is not None:
            await self._patch(service, {"metadata": {**change, "uid": service.metadata.uid}})

    async def _set_status(self, service: Service, status: LoadBalancerStatus) -> None:
        if plan.same_status(service.status.loadBalancer, status):
            return
        ingress = msgspec.to_builtins(status.ingress) or None
        change = {"metadata": {"uid": service.metadata.uid}}
        await self._patch(service, {**change, "status": {"loadBalancer": {"ingress": ingress}}})

    async def _patch(self, service: Service, change: dict[str, Any]) -> None:
        """Through ``status``, which is all that the role allows."""
        metadata = service.metadata
        await self._client.patch(
            Service, metadata.name, metadata.namespace, change, "strategic", "status"
        )

    def _event(self, service: Service, type_: str, reason: str, text: str) -> None:
        self._events.event(service, type_, reason, text)


class _Failed(ProviderFailure):
    """A call of the provider failed; the message is the event's."""


def make(context: CloudContext) -> Controller | None:
    """The control loop; none without load balancers."""
    balancers = context.cloud.load_balancers
    return ServiceController(context, balancers).loop if balancers is not None else None


CONTROLLER = Definition(NAME, "service-controller", make)
