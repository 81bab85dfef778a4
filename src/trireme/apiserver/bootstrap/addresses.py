"""IPAddresses of Services that are missing, wrong or left behind.

In: the stored Services, IPAddresses and ServiceCIDRs, when one of them was written. Out: the writes
of ``plan_addresses``, each logged. Called by ``run``: a store of an earlier version has no
IPAddresses; later, people and dying servers leave gaps.
"""

from __future__ import annotations

from trireme.api.core.v1.service import Service
from trireme.api.networking.v1.ipaddress import IPAddress
from trireme.api.networking.v1.servicecidr import ServiceCIDR
from trireme.apiserver.bootstrap import plan_addresses
from trireme.apiserver.bootstrap.plan_addresses import Action, Create
from trireme.apiserver.context import ServerContext
from trireme.apiserver.registry import MANAGER, SELF, Call
from trireme.machinery import errors
from trireme.machinery.meta import DeleteOptions, Preconditions


class AddressRepair:
    """Looks when something has changed, or an IPAddress is waited for."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._changes = context.reader.changes(Service, IPAddress, ServiceCIDR)
        self._pending = False

    async def repair(self) -> None:
        """Put right what is wrong. ApiError, StoreUnavailable."""
        if not self._changes.any() and not self._pending:
            return
        context, reader = self._context, self._context.reader
        services, addresses = reader.list(Service), reader.list(IPAddress)
        cidrs, now = reader.list(ServiceCIDR), context.env.clock.now()
        found = plan_addresses.plan(services, addresses, cidrs, now)
        # Until all is done.
        self._pending = True
        for action in found.actions:
            context.env.log.warning("%s: repairing", action.reason)
            await self._carry_out(action)
        self._pending = found.pending

    async def _carry_out(self, action: Action) -> None:
        registry, endpoint = self._context.registry, self._context.endpoint(IPAddress)
        call = Call(SELF, manager=MANAGER)
        try:
            if isinstance(action, Create):
                await registry.create(endpoint, "", action.address, call)
            else:
                same = DeleteOptions(preconditions=Preconditions(uid=action.uid))
                await registry.delete(endpoint, "", action.name, same, call)
        except errors.ApiError as error:
            # Another was faster; the next look sees what is there.
            if not errors.is_race_lost(error):
                raise
