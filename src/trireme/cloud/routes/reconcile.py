"""Routes to the pod networks of nodes, compared every ten seconds.

In: nodes with their pod networks, the provider's routes. Out: routes made and deleted; the nodes'
condition NetworkUnavailable; events. Decisions are in ``plan_routes``. Run by a controller manager.
Upstream: k8s.io/cloud-provider/controllers/route.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.references import ObjectReference
from trireme.client.codec import Unreadable
from trireme.cloud.contract import Route, Routes
from trireme.cloud.definition import CloudContext, Definition
from trireme.cloud.routes import plan_routes
from trireme.cloud.routes.plan_routes import Needed
from trireme.machinery import errors
from trireme.runtime.periodic import Periodic
from trireme.runtime.recorder import WARNING

NAME = "node-route-controller"
# Calls of the provider at once.
PARALLEL = 200
TRIES = 5


class RouteController:
    """``reconcile`` compares once."""

    def __init__(self, context: CloudContext, routes: Routes) -> None:
        self._context = context
        self._routes = routes
        self.nodes = context.informers.of(Node)
        self._slots = asyncio.Semaphore(PARALLEL)

    async def reconcile(self) -> None:
        """Make and delete what differs, then say so in the nodes. Logs failures."""
        settings, log = self._context.settings, self._context.env.log
        try:
            present = await self._routes.list_routes(settings.cluster_name)
        except Exception as error:
            log.warning("error listing routes: %s", error)
            return
        nodes = self.nodes.list()
        plan = plan_routes.plan(nodes, present, settings.cluster_cidrs)
        deleting = asyncio.gather(*(self._delete(route) for route in plan.delete))
        if plan.in_turn:
            await deleting
        made = await asyncio.gather(*(self._create(needed) for needed in plan.create))
        await deleting
        await self._report(nodes, plan.create, made)

    async def _delete(self, route: Route) -> None:
        try:
            async with self._slots:
                await self._routes.delete_route(self._context.settings.cluster_name, route)
        except Exception as error:
            text = "could not delete route %s %s: %s"
            self._context.env.log.warning(text, route.name, route.destination_cidr, error)

    async def _create(self, needed: Needed) -> bool:
        """Whether there is the route now. A conflict is tried again at once."""
        node, route = needed
        for _ in range(TRIES):
            try:
                async with self._slots:
                    cluster = self._context.settings.cluster_name
                    await self._routes.create_route(cluster, node.metadata.uid, route)
                return True
            except Exception as error:
                self._record(node, route, error)
                if not errors.is_conflict(error):
                    break
        return False

    def _record(self, node: Node, route: Route, error: Exception) -> None:
        meta = node.metadata
        about = ObjectReference(kind="Node", apiVersion="v1", name=meta.name, uid=meta.uid)
        text = (
            f"Could not create route {meta.uid} {route.destination_cidr} for node {meta.name}: "
            f"{error}"
        )
        self._context.recorder.event(about, WARNING, "FailedToCreateRoute", text)

    async def _report(
        self, nodes: Iterable[Node], needed: Iterable[Needed], made: Iterable[bool]
    ) -> None:
        failed = {
            one.node.metadata.name for one, there in zip(needed, made, strict=True) if not there
        }
        now = self._context.env.clock.now()
        writes: list[Awaitable[None]] = []
        for node in nodes:
            if node.spec.podCIDRs:
                name = node.metadata.name
                change = plan_routes.condition(node, name not in failed, now)
                if change is not None:
                    writes.append(self._patch(name, plan_routes.condition_change(change)))
        await asyncio.gather(*writes)

    async def _patch(self, name: str, change: dict[str, object]) -> None:
        try:
            await self._context.client.patch(Node, name, None, change, "strategic", "status")
        except (errors.ApiError, OSError, Unreadable) as error:
            # Again in the next round, as the condition is not there.
            self._context.env.log.warning("condition of node %s: %s", name, error)


def make(context: CloudContext) -> Periodic | None:
    """The loop; none without routes, or where the networks of pods are not known."""
    settings = context.settings
    if context.cloud.routes is None or not settings.cluster_cidrs:
        return None
    routes = RouteController(context, context.cloud.routes)
    return Periodic(routes.reconcile, settings.route_period, context.env, informers=[routes.nodes])


CONTROLLER = Definition(NAME, "route-controller", make, component="route_controller")
