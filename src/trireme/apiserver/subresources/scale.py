"""``/scale`` of every kind that has one: an autoscaling/v1 Scale in front of ``spec.replicas``.

Upstream: pkg/registry/apps/*/storage ScaleREST.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from trireme.api.autoscaling.v1 import scale as scales
from trireme.api.autoscaling.v1.scale import Scale, ScaleSpec, ScaleStatus
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import SubresourceHandler
from trireme.apiserver.reply import negotiate, reply
from trireme.apiserver.reply.form import finish
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.apiserver.verbs import body, options, write
from trireme.machinery import errors
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.patch import json_patch, merge_patch
from trireme.store.contract import KeyValue


async def get(server: ApiServer, request: Request, endpoint: Endpoint) -> Reply:
    """The scale of an object."""
    info = request.info
    item = server.registry.get(endpoint, info.namespace, info.name)
    return _reply(request, endpoint, endpoint.load(item))


async def update(server: ApiServer, request: Request, endpoint: Endpoint) -> Reply:
    """PUT a Scale."""
    wanted = body.decode_as(
        request, Scale, body.as_json(request), options.field_validation(request)
    )
    return await _write(server, request, endpoint, lambda _before: wanted)


async def patch(server: ApiServer, request: Request, endpoint: Endpoint) -> Reply:
    """PATCH a Scale by JSON patch or merge patch (a strategic one has the same effect here)."""
    media = body.media_type(request)
    if media not in write.PATCHES:
        raise errors.unsupported_media_type(write.PATCHES)
    mode = options.field_validation(request)
    if media == write.JSON_PATCH:
        steps, warnings = json_patch.parse(request.body, mode)
        apply = partial(json_patch.apply, steps=steps)
    else:
        content, warnings = merge_patch.parse(request.body, mode)
        apply = partial(merge_patch.apply, patch=content)
    request.warnings.extend(warnings)
    named = b'"resourceVersion"' in request.body

    def change(before: Scale) -> Scale:
        after = apply(msgspec.json.decode(msgspec.json.encode(before)))
        scale: Scale = body.decode_as(request, Scale, msgspec.json.encode(after), "Ignore")
        if not named:
            scale.metadata.resourceVersion = ""
        return scale

    return await _write(server, request, endpoint, change)


async def _write(server: ApiServer, request: Request, endpoint: Endpoint, change: Any) -> Reply:
    info, call = request.info, write.call_of(request)
    call.any_version = True

    def replace(_old: Any, item: KeyValue) -> Any:
        obj = endpoint.load(item)
        scale = change(of(endpoint, obj))
        problems = scales.validate(scale)
        if problems:
            raise errors.invalid("Scale.autoscaling", info.name, problems)
        obj.spec.replicas = scale.spec.replicas
        obj.metadata.resourceVersion = scale.metadata.resourceVersion
        if scale.metadata.uid and scale.metadata.uid != obj.metadata.uid:
            obj.metadata.uid = scale.metadata.uid
        return obj

    item, _ = await server.registry.update(
        endpoint, info.namespace, info.name, replace, call, "scale"
    )
    return _reply(request, endpoint, endpoint.load(item))


def of(endpoint: Endpoint, obj: Any) -> Scale:
    """The Scale of an object."""
    mapping = endpoint.resource.scale
    assert mapping is not None, f"{endpoint.resource.plural} declares scale without its mapping"
    meta = obj.metadata
    return Scale(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=ScaleSpec(replicas=obj.spec.replicas or 0),
        status=ScaleStatus(replicas=mapping.status_replicas(obj), selector=mapping.selector(obj)),
    )


def _reply(request: Request, endpoint: Endpoint, obj: Any) -> Reply:
    accepted = negotiate.accept(request.headers.get("accept", ""), convertible=False)
    return finish(reply.encoded(of(endpoint, obj)), accepted)


HANDLER = SubresourceHandler("*", "scale", {"get": get, "update": update, "patch": patch})
