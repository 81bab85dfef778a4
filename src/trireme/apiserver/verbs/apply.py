"""PATCH with ``application/apply-patch+yaml``: server-side apply.

In: a configuration, who applies it, and whether by force. Out: the object, created where there was
none. Errors: 400 for a configuration that is no object of the kind, 409 for fields that others own,
422 for options. Called by ``write.patch``. Upstream: apiserver ``handlers/patch.go`` applyPatcher;
KEP-555.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.apiserver import ownership
from trireme.apiserver.authz.contract import Attributes, Unanswered
from trireme.apiserver.authz.union import UnionAuthorizer
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import APPLIED, Endpoint
from trireme.apiserver.registry import Call
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.apiserver.verbs import body, options
from trireme.machinery import errors, time
from trireme.machinery.apply.manager import FieldManager, Writer, described
from trireme.machinery.codec import cbor, yaml
from trireme.machinery.meta import ManagedFieldsEntry
from trireme.machinery.schema import decode
from trireme.store.contract import KeyValue

YAML_PATCH = "application/apply-patch+yaml"
CBOR_PATCH = "application/apply-patch+cbor"


def is_apply(request: Request) -> bool:
    """Whether a PATCH is a server-side apply, in a form that is served."""
    media = body.media_type(request)
    return media == YAML_PATCH or (media == CBOR_PATCH and body.CBOR in request.media)


async def patch(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """Apply the configuration in the body to an object or to what a subresource writes of it."""
    info = request.info
    call = call_of(request)
    manager = context.registry.ownership.manager(endpoint, info.subresource)
    options.field_validation(request)
    config, problem = read(request)
    pinned = is_pinned(config)
    warned = len(request.warnings)

    def merged(live: Any, entries: list[ManagedFieldsEntry]) -> Any:
        del request.warnings[warned:]
        applied = run(context, request, manager, live, entries, config)
        report(request, problem)
        value = live if applied.value is None else applied.value
        obj = _typed(endpoint, msgspec.json.encode(value), config)
        obj.metadata.managedFields = applied.entries
        if not pinned or live is manager.empty:
            obj.metadata.resourceVersion = ""
        obj.metadata.name = obj.metadata.name or info.name
        body.check_place(obj, request)
        return obj

    def change(old: Any, item: KeyValue) -> Any:
        return merged(ownership.live(item.value), old.metadata.managedFields)

    def create() -> Any:
        if info.subresource:
            raise errors.not_found(endpoint.resource.group_resource, info.name)
        obj = merged(manager.empty, [])
        if obj.metadata.uid:
            message = f"uid mismatch: the provided object specified uid {obj.metadata.uid}, "
            message += "and no existing object was found"
            raise errors.conflict(endpoint.resource.group_resource, info.name, message)
        _may_create(authorizer, request)
        return obj

    authorizer = context.authorizer.session()
    while True:
        try:
            item, created = await context.registry.update(
                endpoint, info.namespace, info.name, change, call, info.subresource, create
            )
            break
        except Unanswered as question:
            # Nothing has been written yet.
            await question.answer()
    if endpoint.converts:
        [item] = await endpoint.from_stored([item])
    return form.one(request, endpoint, item, context.env.clock.now(), 201 if created else 200)


def call_of(request: Request) -> Call:
    """What the write carries; 422 for options that an apply may not have."""
    call = Call(
        request.user or ANONYMOUS,
        options.dry_run(request),
        request.warnings,
        request=request,
        annotations=request.annotations,
    )
    call.manager = options.field_manager(request, applying=True)
    call.any_version = call.applied = True
    return call


def is_pinned(config: dict[str, Any]) -> bool:
    """Whether a configuration is for one version of the object only; else it is tried again when
    another write came in between."""
    meta = config.get("metadata")
    return isinstance(meta, dict) and bool(meta.get("resourceVersion"))


def run(
    context: ServerContext,
    request: Request,
    manager: FieldManager,
    live: Any,
    entries: list[ManagedFieldsEntry],
    config: dict[str, Any],
) -> Any:
    """The applied configuration: the new value and entries."""
    writer = Writer(request.param("fieldManager"), time.format(context.env.clock.now()))
    return manager.applied(live, entries, config, writer, request.flag("force"))


def read(request: Request) -> tuple[dict[str, Any], str]:
    """The configuration in the body (one YAML document, or JSON, which is YAML too), and the keys
    that it sets twice."""
    if body.media_type(request) == CBOR_PATCH:
        config, problem = _from_cbor(request.body), ""
    else:
        config, problem = _parsed(request.body)
    if not isinstance(config, dict):
        raise errors.bad_request(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
            f"unmarshal {_kind(config)} into Go value of type map[string]interface {{}}"
        )
    return config, problem


def report(request: Request, problem: str) -> None:
    """Keys that were set twice, after all else that may be wrong; as fieldValidation says."""
    mode = options.field_validation(request)
    if problem and mode != decode.IGNORE:
        if mode == decode.STRICT:
            message = f"error converting YAML to JSON: {problem}"
            raise errors.bad_request(f"error strict decoding YAML: {message}")
        request.warnings += yaml.lines(problem)


def _from_cbor(data: bytes) -> Any:
    try:
        return cbor.load(data)
    except ValueError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from None


def _parsed(data: bytes) -> tuple[Any, str]:
    if data[:1] == b"{":
        try:
            config, twice = decode.untyped(data, decode.WARN)
            if not twice:
                return config, ""
        except errors.ApiError:
            # Not JSON; it may be a flow mapping all the same.
            pass
    try:
        loaded = yaml.load(data)
    except errors.ApiError as error:
        message = f"error converting YAML to JSON: {error.message}"
        raise errors.bad_request(f"error decoding YAML: {message}") from None
    return ({} if loaded.value is None else loaded.value), loaded.problem


def _kind(value: Any) -> str:
    names = {list: "array", bool: "bool", str: "string"}
    return names.get(type(value), "number")


def _typed(endpoint: Endpoint, data: bytes, config: dict[str, Any]) -> Any:
    """What an apply made, as an object of the kind; 400 where it is none."""
    try:
        obj, _ = body.typed(endpoint, data, decode.IGNORE, APPLIED)
    except decode.DecodeError as error:
        printed, resource = described(config), endpoint.resource
        raise errors.bad_request(
            f"failed to convert new object ({printed}) to proper version: unable to convert "
            f"unstructured object to {resource.api_version}, Kind={resource.kind}: {error.message}"
        ) from None
    return obj


def _may_create(authorizer: UnionAuthorizer, request: Request) -> None:
    """An apply that creates also needs the right to create; 403 without it."""
    info, user = request.info, request.user or ANONYMOUS
    attributes = Attributes(
        user=user,
        verb="create",
        group=info.group,
        version=info.version,
        resource=info.resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
        path=info.path,
    )
    decision = authorizer.authorize(attributes)
    if not decision.allowed:
        raise errors.access_denied(
            user.name,
            "create",
            resource=info.resource,
            group=info.group,
            namespace=info.namespace,
            name=info.name,
            reason=decision.reason,
        )
