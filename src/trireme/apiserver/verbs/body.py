"""The object in a request's body: media type, decoding, defaults, and what it must agree with.

In: a request with a body. Out: a typed object with its defaults. Unknown and duplicate fields are
errors, warnings or nothing, as ``fieldValidation`` says.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import options
from trireme.machinery import errors
from trireme.machinery.codec import cbor, yaml
from trireme.machinery.codec.protobuf import decode as protobuf
from trireme.machinery.codec.protobuf import table
from trireme.machinery.schema import decode, normalise

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
CBOR = "application/cbor"
# How many bytes of a body that cannot be read are shown.
_SHOWN = 30


def media_type(request: Request) -> str:
    """The body's media type without parameters; JSON when there is none."""
    text = request.headers.get("content-type", "")
    return text.partition(";")[0].strip().lower() or JSON


def as_json(
    request: Request,
    accepted: tuple[str, ...] | None = None,
    expected: tuple[str, str] = ("", ""),
) -> bytes:
    """The body as JSON bytes; 415 for a media type that is not read here.

    ``expected``: the apiVersion and kind of a protobuf body that does not say them.
    """
    media = media_type(request)
    if media == JSON:
        return request.body
    accepted = accepted or request.media
    if media not in accepted:
        raise errors.unsupported_media_type(accepted)
    if media == YAML:
        data, problem = yaml.to_json(request.body)
        if problem:
            _report(request, problem)
        return data
    try:
        if media == PROTOBUF:
            plain = protobuf.decode(request.body, table.built_in(), expected)
        else:
            plain = cbor.load(request.body)
        return msgspec.json.encode(plain)
    except ValueError as problem:
        raise errors.bad_request(_unrecognized(request.body, expected[1], problem)) from None


def _unrecognized(data: bytes, kind: str, problem: ValueError) -> str:
    """Why a body is no object, with how it begins."""
    if not kind:
        return str(problem)
    shown = data[:_SHOWN].hex() + (" ..." if len(data) > _SHOWN else "") if data else "<empty>"
    return f"the object provided is unrecognized (must be of type {kind}): {problem} ({shown})"


def read(request: Request, endpoint: Endpoint) -> Any:
    """The object that a POST or PUT carries, defaulted."""
    resource = endpoint.resource
    data = as_json(request, endpoint.served, (resource.api_version, resource.kind))
    return typed(request, endpoint, data, options.field_validation(request))


def typed(
    request: Request, endpoint: Endpoint, data: bytes, mode: str, applied: bool = False
) -> Any:
    """JSON bytes as the endpoint's type, with kind and version checked and defaults written.

    ``applied``: they are what an apply made, not what a client sent.
    """
    resource = endpoint.resource
    if endpoint.read is not None:
        obj, warnings = endpoint.read(data, mode, applied)
        request.warnings.extend(warnings)
        return obj
    try:
        obj = decode_as(request, resource.type, data, mode)
        _check_identity(endpoint, obj)
        default(endpoint, obj)
    except decode.DecodeError as fault:
        if fault.message.startswith("strict decoding error"):
            raise
        raise decode.in_words_of(fault, resource.kind, resource.version, data) from None
    return obj


def decode_as(request: Request, kind: type, data: bytes, mode: str) -> Any:
    """JSON bytes as any struct; warnings are kept on the request."""
    obj, warnings = decode.decode(data, kind, mode)
    request.warnings.extend(warnings)
    return obj


def _report(request: Request, problem: str) -> None:
    """Keys that a YAML body sets twice: as strict as fieldValidation says."""
    mode = options.field_validation(request)
    if mode == decode.STRICT:
        raise errors.bad_request(f"strict decoding error: {problem}")
    if mode == decode.WARN:
        request.warnings.append(problem)


def default(endpoint: Endpoint, obj: Any) -> None:
    """Canonical texts, the defaults of the type's markers, then the kind's own."""
    normalise.normalise(obj)
    endpoint.resource.defaults(obj)


def _check_identity(endpoint: Endpoint, obj: Any) -> None:
    resource = endpoint.resource
    if obj.kind != resource.kind:
        raise errors.bad_request(
            f"{resource.kind} in version {resource.version!r} cannot be handled as a "
            f"{obj.kind}: the kind in the data ({obj.kind}) does not match the expected kind "
            f"({resource.kind})".replace("'", '"')
        )
    if obj.apiVersion != resource.api_version:
        raise errors.bad_request(
            f"the API version in the data ({obj.apiVersion}) does not match the expected API "
            f"version ({resource.api_version})"
        )
