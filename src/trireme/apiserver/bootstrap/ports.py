"""Node ports that are not taken, or by nobody.

In: the stored Services and the RangeAllocation. Out: the RangeAllocation as ``plan_ports`` has it.
Called by ``run``: a store of an earlier version has none; later, dying servers leave gaps.
"""

from __future__ import annotations

from trireme.api.core.v1.service import Service
from trireme.apiserver.allocators.pools import Pool
from trireme.apiserver.allocators.services import held
from trireme.apiserver.bootstrap import plan_ports
from trireme.apiserver.context import ServerContext

# Seconds between two looks.
INTERVAL = 180.0


class PortRepair:
    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._left: dict[int, int] = {}
        self._due = 0.0

    async def repair(self) -> None:
        """Look, where it is time again, and put right what is wrong. StoreUnavailable."""
        context, now = self._context, self._context.env.clock.monotonic()
        if now < self._due:
            return
        found = plan_ports.Plan(frozenset(), {}, [])

        def change(pool: Pool) -> bool:
            nonlocal found
            services = (
                (f"{item.metadata.namespace}/{item.metadata.name}", sorted(held(item.spec)))
                for item in context.reader.list(Service)
            )
            stored = pool.all_taken()
            found = plan_ports.plan(services, stored, pool.first, pool.last, self._left)
            for number in stored - found.taken:
                pool.release(number)
            for number in found.taken - stored:
                pool.take(number)
            return found.taken != stored

        await context.ports.change(change)
        self._left, self._due = found.left, now + INTERVAL
        for warning in found.warnings:
            context.env.log.warning("%s", warning)
