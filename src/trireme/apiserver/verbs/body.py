"""The object in a request's body: media type, decoding, defaults, and what it must agree with.

In: a request with a body. Out: a typed object with its defaults. Unknown and duplicate fields are
errors, warnings or nothing, as ``fieldValidation`` says.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from trireme.apiserver.endpoint import APPLIED, MERGED, SENT, Endpoint
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import options
from trireme.machinery import errors
from trireme.machinery.codec import cbor, yaml
from trireme.machinery.codec.protobuf import decode as protobuf
from trireme.machinery.codec.protobuf import table
from trireme.machinery.schema import decode

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
CBOR = "application/cbor"
T = TypeVar("T")


def media_type(request: Request) -> str:
    """The body's media type without parameters; JSON when there is none."""
    text = request.headers.get("content-type", "")
    return text.partition(";")[0].strip().lower() or JSON


def read(request: Request, endpoint: Endpoint) -> Any:
    """The object that a POST or PUT carries, defaulted."""
    resource, mode = endpoint.resource, options.field_validation(request)
    identity = resource.api_version, resource.kind
    try:
        data, twice = parsed(request, endpoint.served, identity)
        obj, problems = typed(endpoint, data, mode)
        check_strict(request, mode, twice + problems)
    except decode.DecodeError as error:
        raise _bad_request(error, request, identity) from None
    if request.audit is not None:
        request.audit.request_object(obj)
    return obj


def read_as(
    request: Request,
    struct: type[T],
    mode: str | None = None,
    identity: tuple[str, str] | None = None,
) -> T:
    """An object of a type that no endpoint stores. ``identity``: its apiVersion and kind."""
    empty: Any = struct()
    identity = identity or (empty.apiVersion, empty.kind)
    mode = mode or options.field_validation(request)
    try:
        data, twice = parsed(request, request.media, identity)
        obj, problems = decoded(data, struct, mode, SENT)
        check_strict(request, mode, twice + problems)
    except decode.DecodeError as error:
        raise _bad_request(error, request, identity) from None
    if request.audit is not None:
        request.audit.request_object(obj)
    return obj


def parsed(
    request: Request, accepted: tuple[str, ...], expected: tuple[str, str]
) -> tuple[bytes, list[str]]:
    """The body as JSON bytes, and the keys that a YAML body sets twice. Raises DecodeError."""
    media = media_type(request)
    if media == JSON:
        return request.body, []
    if media not in accepted:
        raise errors.unsupported_media_type(accepted)
    try:
        if media == YAML:
            data, problem = yaml.to_json(request.body)
            return data, [problem] if problem else []
        if media == PROTOBUF:
            plain = protobuf.decode(request.body, table.built_in(), expected)
        else:
            plain = cbor.load(request.body)
        return msgspec.json.encode(plain), []
    except ValueError as problem:
        raise decode.DecodeError(str(problem), syntax=True) from None


def check_strict(request: Request, mode: str, problems: list[str]) -> None:
    """Unknown and duplicate fields: an error, warnings or nothing, as ``mode`` says."""
    if problems and mode == decode.STRICT:
        raise decode.DecodeError(f"strict decoding error: {', '.join(problems)}")
    if mode == decode.WARN:
        for problem in problems:
            request.warnings += yaml.lines(problem)


def typed(endpoint: Endpoint, data: bytes, mode: str, origin: str = SENT) -> tuple[Any, list[str]]:
    """JSON bytes as the endpoint's type, with kind and version checked and defaults written, and
    the unknown and duplicate fields. Raises DecodeError."""
    if endpoint.read is not None:
        return endpoint.read(data, mode, origin)
    obj: Any
    obj, problems = decoded(data, endpoint.resource.type, mode, origin)
    if origin == MERGED:
        # The type is what it was made by, whatever the patch says.
        obj.kind, obj.apiVersion = endpoint.resource.kind, endpoint.resource.api_version
    _check_identity(endpoint, obj)
    endpoint.default(obj)
    return obj, problems


def decoded(data: bytes, struct: type[T], mode: str, origin: str) -> tuple[T, list[str]]:
    """JSON bytes as a struct, and the unknown and duplicate fields. Raises DecodeError."""
    looking = decode.IGNORE if mode == decode.IGNORE else decode.WARN
    made = origin in (MERGED, APPLIED)
    try:
        return decode.decode(data, struct, looking, converting=made, unique=origin != SENT)
    except decode.DecodeError:
        if not made:
            decode.of_kind(data)
        raise


def _bad_request(
    error: decode.DecodeError, request: Request, identity: tuple[str, str]
) -> errors.ApiError:
    version, kind = identity
    return decode.as_bad_request(error, kind, version.rpartition("/")[2], request.body)


def check_place(obj: Any, request: Request) -> None:
    """The namespace may be left out; the name may not, and both are those of the path."""
    info, meta = request.info, obj.metadata
    if meta.namespace and info.namespace and meta.namespace != info.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if not meta.name:
        raise errors.bad_request(
            f"the name of the object ({info.name} based on URL) was undeterminable: name must be "
            "provided"
        )
    if meta.name != info.name:
        raise errors.bad_request(
            f"the name of the object ({meta.name}) does not match the name on the URL ({info.name})"
        )


def _check_identity(endpoint: Endpoint, obj: Any) -> None:
    resource = endpoint.resource
    if obj.kind == resource.kind and obj.apiVersion == resource.api_version:
        return
    group, _, version = obj.apiVersion.rpartition("/")
    if "/" in group:
        raise decode.DecodeError(f"unexpected GroupVersion string: {obj.apiVersion}", syntax=True)
    if table.built_in().of_kind(obj.apiVersion, obj.kind) is None:
        message = (
            f'no kind "{obj.kind}" is registered for version "{obj.apiVersion}" in scheme '
            '"pkg/api/legacyscheme/scheme.go:30"'
        )
    elif obj.kind == resource.kind and group == resource.group:
        raise errors.bad_request(
            f"the API version in the data ({obj.apiVersion}) does not match the expected API "
            f"version ({resource.api_version})"
        )
    else:
        package = resource.group.partition(".")[0] or "core"
        message = (
            f"converting ({version}.{obj.kind}) to ({package}.{resource.kind}): unknown conversion"
        )
    raise decode.DecodeError(message, declared=(obj.kind, version))
