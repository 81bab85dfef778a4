"""The condition Dangling of every FlowSchema: whether the priority level that it names exists.

In: what ``fairness.levels`` finds. Out: statuses. A post-start hook. Upstream: apiserver
``util/flowcontrol/apf_controller.go`` (digestConfigObjects).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import msgspec

from trireme.api.flowcontrol.v1 import mandatory
from trireme.api.flowcontrol.v1.conditions import FlowSchemaCondition
from trireme.api.flowcontrol.v1.flowschema_types import FlowSchema
from trireme.api.flowcontrol.v1.prioritylevel_types import PriorityLevelConfiguration
from trireme.apiserver import ownership
from trireme.apiserver.context import ServerContext
from trireme.apiserver.controllers.follow import Follower
from trireme.apiserver.registry import SELF, Call
from trireme.machinery import errors, gotext, time
from trireme.machinery.apply.manager import Writer
from trireme.store.contract import KeyValue

MANAGER = "api-priority-and-fairness-config-consumer-v1"


async def run(context: ServerContext) -> None:
    """Keep the conditions true, for ever."""
    schemas = context.endpoint(FlowSchema)
    levels = context.endpoint(PriorityLevelConfiguration)

    async def sync(name: str) -> None:
        schema = context.reader.get(FlowSchema, "", name)
        if schema is not None:
            await _write(context, schema)

    async def sync_level(level: str) -> None:
        for schema in context.reader.list(FlowSchema):
            if schema.spec.priorityLevelConfiguration.name == level:
                await _write(context, schema)

    await context.bootstrapped.wait()
    async with asyncio.TaskGroup() as group:
        follower = Follower(context.store, context.env, group, "FlowSchema", sync)
        group.create_task(follower.follow(schemas.root), name="flow schemas")
        of_levels = Follower(
            context.store, context.env, group, "PriorityLevelConfiguration", sync_level
        )
        group.create_task(of_levels.follow(levels.root), name="priority levels")


def compute_condition(
    schema: FlowSchema, levels: Iterable[str], now: str
) -> FlowSchemaCondition | None:
    """The condition that a schema should have; None where it has it."""
    name = schema.spec.priorityLevelConfiguration.name
    found = name in levels or name in mandatory.PRIORITY_LEVELS
    named = f"This FlowSchema references the PriorityLevelConfiguration object named {_q(name)}"
    condition = FlowSchemaCondition(
        type="Dangling",
        status="False" if found else "True",
        lastTransitionTime=now,
        reason="Found" if found else "NotFound",
        message=f"{named} and it exists" if found else f"{named} but there is no such object",
    )
    for has in schema.status.conditions:
        if has.type == condition.type and (has.status, has.reason, has.message) == (
            condition.status, condition.reason, condition.message,
        ):  # fmt: skip
            return None
    return condition


def _q(text: str) -> str:
    return gotext.quote(text)


async def _write(context: ServerContext, schema: FlowSchema) -> None:
    names = {level.metadata.name for level in context.reader.list(PriorityLevelConfiguration)}
    now = time.format(context.env.clock.now())
    condition = compute_condition(schema, names, now)
    if condition is None:
        return
    endpoint = context.endpoint(FlowSchema)
    manager = context.registry.ownership.manager(endpoint, "status")
    desired = {
        "apiVersion": schema.apiVersion,
        "kind": schema.kind,
        "metadata": {"name": schema.metadata.name},
        "status": {"conditions": [msgspec.to_builtins(condition)]},
    }

    def change(old: FlowSchema, item: KeyValue) -> FlowSchema:
        live, entries = ownership.live(item.value), old.metadata.managedFields
        applied = manager.applied(live, entries, desired, Writer(MANAGER, now), True)
        value = live if applied.value is None else applied.value
        new: FlowSchema = endpoint.decode(msgspec.json.encode(value))
        new.metadata.managedFields = applied.entries
        new.metadata.resourceVersion = ""
        return new

    call = Call(SELF, any_version=True, manager=MANAGER, applied=True)
    with contextlib.suppress(errors.ApiError):
        await context.registry.update(endpoint, "", schema.metadata.name, change, call, "status")
