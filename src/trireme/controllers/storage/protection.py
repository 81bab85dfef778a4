"""A finalizer keeps an object as long as it is used: what the protection controllers share.

In: a kind, its finalizer, a question whether an object is used. Out: the finalizer put on objects
that lack it, and taken from those that are deleted and unused. Used by ``claim_protection``,
``volume_protection`` and ``attributes_protection``. Upstream: pkg/util/slice, the protection
controllers in pkg/controller/volume.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec.structs import replace

from trireme.controllers.definition import ControllerContext
from trireme.machinery import errors
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event, Informer
from trireme.runtime.keys import Key
from trireme.runtime.triggers import Trigger

T = TypeVar("T")


def controller(
    name: str,
    context: ControllerContext,
    informer: Informer[T],
    finalizer: str,
    is_used: Callable[[T], Awaitable[bool]],
    others: list[tuple[Informer[Any], Trigger]],
) -> Controller:
    """The control loop of one kind; ``others`` says when an object may have become unused."""

    async def reconcile(key: Key) -> None:
        obj: Any = informer.get(*key)
        if obj is None:
            return
        meta = obj.metadata
        if meta.deletionTimestamp is None:
            if finalizer not in meta.finalizers:
                await _write(obj, [*meta.finalizers, finalizer])
        elif finalizer in meta.finalizers and not await is_used(obj):
            await _write(obj, [item for item in meta.finalizers if item != finalizer])

    async def _write(obj: Any, finalizers: list[str]) -> None:
        changed = replace(obj, metadata=replace(obj.metadata, finalizers=finalizers))
        try:
            await context.client.update(changed)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    def concerned(event: Event[Any]) -> bool:
        meta = event.object.metadata
        return meta.deletionTimestamp is not None or finalizer not in meta.finalizers

    own = triggers.only(concerned, triggers.own())
    return Controller(name, reconcile, context.env, triggers=[(informer, own), *others])
