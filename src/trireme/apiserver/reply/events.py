"""The events of a watch on the wire: JSON lines, protobuf frames or a CBOR sequence.

In: an event's type and an object's bytes in the version that is watched. Out: the event's bytes.
The plain JSON event is a prefix, the stored bytes and a suffix, and protobuf bodies are kept with
the revision, so a thousand watchers share one encoding.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.reply import media, negotiate, table
from trireme.apiserver.request import Request
from trireme.kit.clock import Clock
from trireme.machinery.codec import cbor
from trireme.machinery.codec.protobuf import encode as protobuf
from trireme.machinery.errors import ApiError
from trireme.machinery.meta import ListMeta

BOOKMARK = "BOOKMARK"
_HEADS = {
    name: b'{"type":"%s","object":' % name.encode()
    for name in ("ADDED", "MODIFIED", "DELETED", BOOKMARK, "ERROR")
}


class _Meta(msgspec.Struct):
    resourceVersion: str = ""


class _HasMeta(msgspec.Struct):
    metadata: _Meta


_decode_meta = msgspec.json.Decoder(_HasMeta).decode

# (type, key, value) -> an event's bytes.
Write = Callable[[str, str, bytes], bytes]


def writer(request: Request, endpoint: Endpoint, form: negotiate.Form, clock: Clock) -> Write:
    """How a watcher's events are written."""
    body = _body(request, endpoint, form, clock)
    if form.media == negotiate.PROTOBUF:
        if form.kind == negotiate.PLAIN:
            return lambda type_, key, value: protobuf.frame(type_, endpoint.protobuf(key, value))
        return lambda type_, key, value: protobuf.frame(
            type_, endpoint.protobuf_metadata(key, value, form.version)
        )
    if form.media == negotiate.CBOR:
        return lambda type_, key, value: _cbor(type_, body(value))
    return lambda type_, key, value: b"".join((_HEADS[type_], body(value), b"}\n"))


def error(form: negotiate.Form, failure: ApiError) -> bytes:
    """A failure as the last event of a stream."""
    status = msgspec.json.encode(failure.status())
    if form.media == negotiate.PROTOBUF:
        return protobuf.frame("ERROR", media.to_protobuf(status))
    if form.media == negotiate.CBOR:
        return _cbor("ERROR", status)
    return b"".join((_HEADS["ERROR"], status, b"}\n"))


def _body(
    request: Request, endpoint: Endpoint, form: negotiate.Form, clock: Clock
) -> Callable[[bytes], bytes]:
    """The JSON of an event's object."""
    if form.kind == negotiate.PLAIN:
        return lambda value: value
    if form.kind != negotiate.TABLE:
        return lambda value: table.partial(value, form.version)
    include = table.check_include(request.param("includeObject"))
    definitions = True

    def as_table(value: bytes) -> bytes:
        nonlocal definitions
        with_heads, definitions = definitions, False
        return table.table(
            endpoint,
            [value],
            ListMeta(resourceVersion=_decode_meta(value).metadata.resourceVersion),
            clock.now(),
            include,
            form.version,
            definitions=with_heads,
        )

    return as_table


def _cbor(type_: str, value: bytes) -> bytes:
    return cbor.dump({"type": type_, "object": msgspec.json.decode(value)})
