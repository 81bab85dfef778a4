"""ResourceQuota: a write that would use more than the namespace's quotas allow is refused.

What a write uses is added to ``status.used`` of the quotas before the object is stored, so that two
at once cannot both take what is left; the quota controller gives back what was not used after all.
Writes that wait for one namespace are charged together, in one write of each quota.
https://kubernetes.io/docs/concepts/policy/resource-quotas/.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.resourcequota_types import ResourceQuota
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.apiserver.cache.changes import Changes
from trireme.domain.quota import check, evaluators
from trireme.domain.quota.check import Refused, Write
from trireme.domain.quota.contract import Evaluator
from trireme.machinery import errors
from trireme.machinery.resource import Resource

# How often quotas that somebody else wrote in between are charged again, and for how many seconds a
# write waits for its turn.
TRIES = 4
TIMEOUT = 10.0


@dataclass(slots=True, eq=False)
class _Waiter:
    """A write to be charged. ``charged`` names the quotas that have it already."""

    attributes: Attributes
    evaluator: Evaluator
    charged: set[str] = field(default_factory=set)
    done: bool = False
    error: errors.ApiError | None = None


@dataclass(slots=True)
class _Turn:
    """The writes of a namespace: whoever has the lock charges all that wait."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Waiter] = field(default_factory=list)
    users: int = 0


class ResourceQuotaPlugin(PluginBase):
    """For every namespaced resource; runs last, so that what it charges is what is stored."""

    name = "ResourceQuota"

    def __init__(self) -> None:
        self._changes: Changes | None = None
        # Namespaces without quotas, as of the last write of any quota.
        self._free: set[str] = set()
        self._evaluators: dict[str, Evaluator] = {}
        self._turns: dict[str, _Turn] = {}

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        if not resource.namespaced or resource.type is Namespace:
            return False
        return operation in ("CREATE", "UPDATE") and (
            resource.group_resource not in evaluators.IGNORED
        )

    def validate(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        if self._changes is None:
            self._changes = context.reader.changes(ResourceQuota)
        if self._changes.any():
            self._free.clear()
        namespace = attributes.namespace
        if namespace in self._free:
            return None
        if not context.reader.list(ResourceQuota, namespace):
            self._free.add(namespace)
            return None
        resource = attributes.resource.group_resource
        evaluator = self._evaluators.get(resource)
        if evaluator is None:
            evaluator = self._evaluators[resource] = evaluators.of(resource)
        new, old = attributes.new, attributes.old
        if not evaluator.handles(attributes.operation, attributes.subresource, new, old):
            return None
        return self._take_turn(_Waiter(attributes, evaluator), context)

    async def _take_turn(self, waiter: _Waiter, context: Context) -> None:
        namespace = waiter.attributes.namespace
        turn = self._turns.setdefault(namespace, _Turn())
        turn.users += 1
        turn.waiting.append(waiter)
        try:
            async with asyncio.timeout(TIMEOUT), turn.lock:
                if not waiter.done:
                    await self._charge_all(turn, namespace, context)
        except TimeoutError:
            raise errors.internal_error("resource quota evaluation timed out") from None
        finally:
            if waiter in turn.waiting:
                turn.waiting.remove(waiter)
            turn.users -= 1
            if not turn.users:
                del self._turns[namespace]
        if waiter.error is not None:
            raise waiter.error

    async def _charge_all(self, turn: _Turn, namespace: str, context: Context) -> None:
        """Charge all that wait to all quotas of the namespace."""
        batch, turn.waiting = turn.waiting, []
        try:
            for _ in range(TRIES):
                quotas = context.reader.list(ResourceQuota, namespace)
                conflict = await _charge(quotas, batch, context)
                if conflict is None:
                    break
            for waiter in batch:
                waiter.error = waiter.error or conflict
                waiter.done = True
        finally:
            # Whoever charged for all may have been cancelled: the others do it themselves.
            turn.waiting = [waiter for waiter in batch if not waiter.done] + turn.waiting


async def _charge(
    quotas: list[ResourceQuota], batch: list[_Waiter], context: Context
) -> errors.ApiError | None:
    """One try; the conflict, when a quota was written by somebody else meanwhile."""
    now = context.env.clock.now()
    used = {quota.metadata.name: quota.status.used for quota in quotas}
    owing: dict[str, list[_Waiter]] = {}
    for waiter in batch:
        if waiter.error is not None:
            continue
        attributes = waiter.attributes
        write = Write(attributes.new, attributes.old, attributes.subresource, now)
        charges: dict[str, dict[str, str]] = {}
        try:
            for quota in quotas:
                name = quota.metadata.name
                if name in waiter.charged:
                    continue
                after = check.charge(_with_used(quota, used[name]), waiter.evaluator, write)
                if after is not None:
                    charges[name] = after
        except Refused as refusal:
            waiter.error = forbidden(attributes, str(refusal))
            continue
        if attributes.dry_run:
            continue
        used |= charges
        for name in charges:
            owing.setdefault(name, []).append(waiter)
    conflict: errors.ApiError | None = None
    for quota in quotas:
        name = quota.metadata.name
        if name not in owing:
            continue
        try:
            await context.write_status(_with_used(quota, used[name]))
        except errors.ApiError as error:
            if not (errors.is_conflict(error) or errors.is_not_found(error)):
                raise
            conflict = error
        else:
            for waiter in owing[name]:
                waiter.charged.add(name)
    return conflict


def _with_used(quota: ResourceQuota, used: dict[str, str]) -> Any:
    return replace(quota, status=replace(quota.status, used=used))
