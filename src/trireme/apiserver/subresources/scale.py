"""``/scale`` of every kind that has one: an autoscaling/v1 Scale in front of ``spec.replicas``.

Upstream: pkg/registry/apps/*/storage ScaleREST.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trireme.api.autoscaling.v1 import scale as scales
from trireme.api.autoscaling.v1.scale import Scale, ScaleSpec, ScaleStatus
from trireme.apiserver import ownership
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import APPLIED, Endpoint
from trireme.apiserver.handlers import SubresourceHandler
from trireme.apiserver.registry import Call
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import apply, body, write
from trireme.machinery import errors, gotext, time
from trireme.machinery.apply import scale as mapping
from trireme.machinery.apply.manager import Entries, Writer
from trireme.machinery.apply.scale import SCALE_VERSION
from trireme.machinery.codec import json
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.resource import Scale as Mapping
from trireme.machinery.schema import decode
from trireme.store.contract import KeyValue

# The replicas of a Scale whose object has none: the smallest int32, as upstream marks it.
_ABSENT = -(2**31)


async def get(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """The scale of an object."""
    info = request.info
    item = context.registry.get(endpoint.hub, info.namespace, info.name)
    if endpoint.converts:
        [item] = await endpoint.from_stored([item])
    return _reply(endpoint, endpoint.load(item))


async def update(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """PUT a Scale."""
    scale = body.read_as(request, Scale)
    body.check_place(scale, request)
    return await _write(context, request, endpoint, lambda _before: scale)


async def patch(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """PATCH a Scale by JSON patch, merge patch (a strategic one has the same effect here) or
    server-side apply."""
    if apply.is_apply(request):
        return await _apply(context, request, endpoint)
    steps = write.patching(request, write.PATCHES, Scale)
    named = b'"resourceVersion"' in request.body

    def change(before: Scale) -> Scale:
        after = steps.apply(msgspec.json.decode(msgspec.json.encode(before)))
        scale: Scale = steps.decoded(request, msgspec.json.encode(after), _read)
        body.check_place(scale, request)
        if not named:
            scale.metadata.resourceVersion = ""
        return scale

    return await _write(context, request, endpoint, change)


def _read(data: bytes, mode: str, origin: str) -> tuple[Scale, list[str]]:
    return body.decoded(data, Scale, mode, origin)


async def _write(
    context: ServerContext, request: Request, endpoint: Endpoint, change: Callable[[Scale], Scale]
) -> Reply:
    call = write.tracked_call(request)
    manager = context.registry.ownership.struct(Scale, SCALE_VERSION, "scale")

    def owned(before: Scale, entries: Entries) -> tuple[Scale, Entries]:
        scale = change(before)
        writer = Writer(call.manager or "", time.format(context.env.clock.now()))
        was, now = ownership.bare(before), ownership.bare(scale)
        return scale, manager.updated(was, now, entries, [], writer)

    return await _replace(context, request, endpoint, call, owned)


async def _apply(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    call = apply.call_of(request)
    manager = context.registry.ownership.struct(Scale, SCALE_VERSION, "scale")
    config, problem = apply.read(request)

    def owned(before: Scale, entries: Entries) -> tuple[Scale, Entries]:
        live = ownership.bare(before)
        applied = apply.run(context, request, manager, live, entries, config)
        apply.report(request, problem)
        value = live if applied.value is None else applied.value
        scale, _ = body.decoded(msgspec.json.encode(value), Scale, decode.IGNORE, APPLIED)
        if not apply.is_pinned(config):
            scale.metadata.resourceVersion = ""
        return scale, applied.entries

    return await _replace(context, request, endpoint, call, owned)


async def _replace(
    context: ServerContext,
    request: Request,
    endpoint: Endpoint,
    call: Call,
    owned: Callable[[Scale, Entries], tuple[Scale, Entries]],
) -> Reply:
    """Write the replicas of a Scale, and who owns them, to its object."""
    info = request.info
    call.any_version = call.applied = True
    call.objects = _Objects()
    version = endpoint.resource.api_version
    kind = _mapping(endpoint)
    paths = {
        other.resource.api_version: other.resource.scale.path
        for other in context.registry.ownership.versions(endpoint)
        if other.resource.scale is not None
    }

    def replace(_old: Any, item: KeyValue) -> Any:
        obj = endpoint.load(item)
        stored = obj.metadata.managedFields
        scale, entries = owned(_before(endpoint, obj), mapping.to_scale(stored, paths))
        if scale.spec.replicas == _ABSENT:
            raise errors.bad_request(
                f"the spec replicas field {gotext.quote(kind.required)} cannot be empty"
            )
        problems = scales.validate(scale)
        if problems:
            raise errors.invalid("Scale.autoscaling", info.name, problems)
        kind.set_replicas(obj, scale.spec.replicas)
        obj.metadata.resourceVersion = scale.metadata.resourceVersion
        if scale.metadata.uid and scale.metadata.uid != obj.metadata.uid:
            obj.metadata.uid = scale.metadata.uid
        obj.metadata.managedFields = mapping.to_object(stored, entries, version, paths)
        return obj

    item, _ = await context.registry.update(
        endpoint, info.namespace, info.name, replace, call, "scale"
    )
    if endpoint.converts:
        [item] = await endpoint.from_stored([item])
    return _reply(endpoint, endpoint.load(item))


class _Objects:
    """Admission sees Scales."""

    async def converted(self, obj: Any, desired: Version) -> bytes:
        endpoint = desired.endpoint
        if endpoint.converts:
            obj = endpoint.decode(await endpoint.converted(obj))
        return json.encode(_scale_of(_mapping(endpoint), obj, 0))

    async def take(self, new: Any, data: bytes, made: Version) -> None:
        try:
            scale, _ = decode.decode(data, Scale, decode.IGNORE)
        except decode.DecodeError as error:
            raise errors.internal_error(error.message) from None
        endpoint = made.endpoint
        obj = endpoint.decode(await endpoint.converted(new))
        _mapping(endpoint).set_replicas(obj, scale.spec.replicas)
        endpoint.replace(new, await endpoint.taken(json.encode(obj)))


def of(endpoint: Endpoint, obj: Any) -> Scale:
    """The Scale of an object; InternalError, as upstream's, where it has no replicas."""
    kind = _mapping(endpoint)
    if kind.required and kind.spec_replicas(obj) is None:
        raise errors.internal_error(
            f"the spec replicas field {gotext.quote(kind.required)} does not exist"
        )
    return _scale_of(kind, obj, 0)


def _before(endpoint: Endpoint, obj: Any) -> Scale:
    """The Scale that a write changes: it may be the first to set the replicas."""
    kind = _mapping(endpoint)
    return _scale_of(kind, obj, _ABSENT if kind.required else 0)


def _scale_of(kind: Mapping, obj: Any, absent: int) -> Scale:
    meta, replicas = obj.metadata, kind.spec_replicas(obj)
    return Scale(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=ScaleSpec(replicas=absent if replicas is None else replicas),
        status=ScaleStatus(replicas=kind.status_replicas(obj), selector=kind.selector(obj)),
    )


def _mapping(endpoint: Endpoint) -> Mapping:
    found = endpoint.resource.scale
    assert found is not None, f"{endpoint.resource.plural} declares scale without its mapping"
    return found


def _reply(endpoint: Endpoint, obj: Any) -> Reply:
    return reply.described(of(endpoint, obj))


HANDLER = SubresourceHandler("*", "scale", {"get": get, "update": update, "patch": patch})
