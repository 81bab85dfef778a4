"""POST, PUT and PATCH of an object and of its status; ``apply`` has the server-side apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import MERGED, PATCHED, Endpoint
from trireme.apiserver.registry import AFTER_ADMISSION, Call, name_owners_once
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.apiserver.verbs import apply, body, options
from trireme.machinery import errors, field, gotext
from trireme.machinery.codec import json
from trireme.machinery.meta import ManagedFieldsEntry
from trireme.machinery.patch import json_patch, merge_patch, strategic
from trireme.machinery.schema import decode, tree
from trireme.store.contract import KeyValue

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
# From JSON bytes, the field validation and what made them to an object and its unknown fields.
Read = Callable[[bytes, str, str], tuple[Any, list[str]]]
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, apply.YAML_PATCH)


def call_of(request: Request) -> Call:
    """What a write carries besides its object."""
    return Call(
        request.user or ANONYMOUS,
        options.dry_run(request),
        request.warnings,
        request=request,
        annotations=request.annotations,
    )


def tracked_call(request: Request) -> Call:
    """The same for a write that makes the client own what it sets."""
    call = call_of(request)
    call.manager = options.field_manager(request)
    return call


def _note_reset(obj: Any, data: bytes) -> None:
    """An empty list of managedFields that the client sent, and did not just leave out, clears
    them; a list of one empty entry says the same."""
    if obj.metadata.managedFields or b'"managedFields":[]' not in data.replace(b" ", b""):
        return
    meta = decode.untyped(data, decode.IGNORE)[0].get("metadata")
    if isinstance(meta, dict) and meta.get("managedFields") == []:
        obj.metadata.managedFields = [ManagedFieldsEntry()]


def _sent(request: Request, endpoint: Endpoint) -> bytes:
    """The body as JSON, where it may say something of managedFields (protobuf cannot say [])."""
    media = body.media_type(request)
    if media == body.JSON:
        return request.body
    if media == body.PROTOBUF or b"managedFields" not in request.body:
        return b""
    return body.parsed(request, endpoint.served, ("", ""))[0]


async def create(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """POST to a collection: 201 with the stored object."""
    call = tracked_call(request)
    obj = body.read(request, endpoint)
    name_owners_once(obj, request.warnings)
    item = await context.registry.create(endpoint, request.info.namespace, obj, call)
    return await answer(context, request, endpoint, item, 201)


async def answer(
    context: ServerContext, request: Request, endpoint: Endpoint, item: KeyValue, status: int = 200
) -> Reply:
    """The written object in the version and form that the client asks for."""
    if endpoint.converts:
        (item,) = await endpoint.from_stored([item])
    return form.one(request, endpoint, item, context.env.clock.now(), status)


async def update(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """PUT: replace the object, or the part that a subresource names."""
    info, call = request.info, tracked_call(request)
    call.replaces = True
    obj = body.read(request, endpoint)
    body.check_place(obj, request)
    name_owners_once(obj, request.warnings)
    _note_reset(obj, _sent(request, endpoint))
    # The registry changes what it is given, and asks again after a conflict unless the client named
    # a version.
    once = obj.metadata.resourceVersion != "" and isinstance(obj, msgspec.Struct)
    encoded = b"" if once else msgspec.json.encode(obj)

    def made() -> Any:
        return obj if once else endpoint.decode(encoded)

    may_create = endpoint.resource.create_on_update and not info.subresource
    item, created = await context.registry.update(
        endpoint,
        info.namespace,
        info.name,
        lambda _old, _item: made(),
        call,
        info.subresource,
        made if may_create else None,
    )
    return await answer(context, request, endpoint, item, 201 if created else 200)


async def patch(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """PATCH by JSON patch, merge patch, strategic merge patch or server-side apply."""
    if apply.is_apply(request):
        return await apply.patch(context, request, endpoint)
    # Custom kinds do not say how lists merge by strategy.
    accepted = PATCHES if endpoint.read is None else (JSON_PATCH, MERGE_PATCH, apply.YAML_PATCH)
    steps = patching(request, accepted, endpoint.resource.type)
    info, call = request.info, tracked_call(request)
    read = partial(body.typed, endpoint)
    warned = len(request.warnings)
    # A patch that names a resourceVersion is for that version only; any other is tried again on
    # a newer object when another write came in between.
    call.any_version = b'"resourceVersion"' not in request.body

    def change(_old: Any, item: KeyValue) -> Any:
        del request.warnings[warned:]
        after = msgspec.json.encode(steps.apply(json.plain(item.value)))
        obj = steps.decoded(request, after, read)
        body.check_place(obj, request)
        name_owners_once(obj, request.warnings, AFTER_ADMISSION)
        _note_reset(obj, after)
        if call.any_version:
            obj.metadata.resourceVersion = ""
        return obj

    item, _ = await context.registry.update(
        endpoint, info.namespace, info.name, change, call, info.subresource
    )
    return await answer(context, request, endpoint, item)


@dataclass(frozen=True)
class Patching:
    """A patch that has been read: from the present object to the patched one, both plain JSON.

    ``problems`` are its duplicate and unknown fields; ``printed`` is the value in errors, where
    that is not the patched object.
    """

    apply: Callable[[Any], Any]
    problems: list[str]
    mode: str
    origin: str
    printed: str = ""

    def decoded(self, request: Request, after: bytes, read: Read) -> Any:
        """The patched object; 422 where it is none of its kind."""
        try:
            obj, problems = read(after, self.mode, self.origin)
            body.check_strict(request, self.mode, self.problems + sorted(problems))
        except decode.DecodeError as error:
            printed = self.printed or after.decode()
            problem = field.invalid(field.path("patch"), printed, error.message)
            raise errors.invalid("", "", [problem]) from None
        return obj


def patching(request: Request, accepted: tuple[str, ...], struct: type) -> Patching:
    """The patch in a request's body, of an object whose lists merge as ``struct`` says."""
    media = body.media_type(request)
    if media not in accepted:
        raise errors.unsupported_media_type(accepted)
    mode = options.field_validation(request)
    if media == JSON_PATCH:
        steps, problems = json_patch.parse(request.body, mode)
        return Patching(partial(json_patch.apply, steps=steps), problems, mode, PATCHED)
    if media == MERGE_PATCH:
        content, problems = merge_patch.parse(request.body, mode)
        return Patching(partial(merge_patch.apply, patch=content), problems, mode, PATCHED)
    content, problems = strategic.parse(request.body, mode)
    made = partial(strategic.apply, patch=content, node=tree.of(struct))
    return Patching(made, problems, mode, MERGED, gotext.plain(content))
