"""Put stored values into the form that the client accepts.

In: stored values and the request's Accept header. Out: replies. The plain JSON form shares the
stored bytes: a list is a join, nothing is decoded (design: encode once). Protobuf is made once for
each revision and joined in the same way; every other form is made from the JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.reply import media, negotiate, table
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.kit.turns import Turn
from trireme.machinery import errors
from trireme.machinery.codec import json
from trireme.machinery.codec.protobuf import encode as protobuf
from trireme.machinery.meta import ListMeta
from trireme.store.contract import KeyValue

# Lists up to this many items are joined at once.
MANY = 64
# How many objects are put into another form before others may have their turn.
AT_ONCE = 25


def one(
    request: Request, endpoint: Endpoint, item: KeyValue, now: float, status: int = 200
) -> Reply:
    """A single object."""
    form = negotiate.of(request, endpoint.served)
    if form.kind == negotiate.PLAIN:
        if form.media == negotiate.PROTOBUF:
            return Reply(status, endpoint.protobuf(item.key, item.value), form.media)
        return finish(Reply(status, item.value), form)
    if form.kind == negotiate.TABLE:
        include = table.check_include(request.param("includeObject"))
        meta = ListMeta(resourceVersion=str(item.revision))
        body = table.table(endpoint, [item.value], meta, now, include, form.version)
        return finish(Reply(status, body), form)
    if form.kind == negotiate.METADATA_LIST:
        raise errors.not_acceptable_form(
            "you requested PartialObjectMetadataList, but the requested object is not a list "
            f"(*{_go_name(endpoint)})"
        )
    if form.media == negotiate.PROTOBUF:
        body = endpoint.protobuf_metadata(item.key, item.value, form.version)
        return Reply(status, body, form.media)
    return finish(Reply(status, table.partial(item.value, form.version)), form)


def unstored(request: Request, obj: object, status: int = 201) -> Reply:
    """An object that is answered and never stored; it has no table form."""
    form = negotiate.of(request, convertible=False)
    return finish(Reply(status, json.encode(obj)), form)


async def many(
    request: Request,
    endpoint: Endpoint,
    items: list[KeyValue],
    meta: ListMeta,
    now: float,
    turn: Turn,
) -> Reply:
    """A list; a long one in protobuf is made while others have their turn."""
    form = negotiate.of(request, endpoint.served)
    if form.kind == negotiate.TABLE:
        include = table.check_include(request.param("includeObject"))
        values = [item.value for item in items]
        return finish(
            Reply(200, table.table(endpoint, values, meta, now, include, form.version)), form
        )
    if form.kind == negotiate.PLAIN:
        if form.media == negotiate.PROTOBUF:
            return await _protobuf(endpoint.list_envelope, endpoint.message, items, meta, turn)
        return finish(_plain(endpoint, items, meta), form)
    if form.media == negotiate.PROTOBUF and form.kind == negotiate.METADATA_LIST:
        head = protobuf.envelope(f"meta.k8s.io/{form.version}", form.kind)
        return await _protobuf(head, endpoint.metadata_message, items, meta, turn)
    if form.kind == negotiate.METADATA:
        raise errors.not_acceptable_form(
            "you requested PartialObjectMetadata, but the requested object is a list "
            f"(*{_go_name(endpoint)}List)"
        )
    body = b"".join(
        (
            b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/',
            form.version.encode(),
            b'","metadata":',
            msgspec.json.encode(meta),
            b',"items":[',
            b",".join([table.partial(item.value, form.version) for item in items]),
            b"]}",
        )
    )
    return finish(Reply(200, body), form)


def transform(request: Request, answer: Reply) -> None:
    """Put an API object that is no stored one (a Status, most often) into the accepted form.

    A failure is JSON for a client that accepts nothing that is served.
    """
    try:
        form = negotiate.of(request, convertible=False)
    except errors.ApiError:
        if answer.status < 400:
            raise
        form = negotiate.Form(pretty=True)
    answer.negotiable = False
    finish(answer, form)


def finish(reply: Reply, form: negotiate.Form) -> Reply:
    """Turn a JSON body into what the client accepts."""
    if form.media != negotiate.JSON:
        reply.body = media.from_json(reply.body, form.media)
        reply.content_type = form.media
    elif form.pretty:
        reply.body = json.pretty(reply.body)
    else:
        reply.end_line()
    return reply


def _plain(endpoint: Endpoint, items: list[KeyValue], meta: ListMeta) -> Reply:
    """The list as it is stored, each item without its kind and version."""
    cut = endpoint.item_prefix
    head = b"".join((endpoint.list_head, msgspec.json.encode(meta), b',"items":['))
    if len(items) <= MANY:
        body = b",".join([b"{" + item.value[cut:] for item in items])
        return Reply(200, b"".join((head, body, b"]}")))
    values = [item.value for item in items]
    length = len(head) + sum(map(len, values)) - len(values) * (cut - 2) + 1

    def pieces(size: int) -> Iterator[bytes]:
        yield head
        count = max(1, len(values) * size // length)
        separator = b"{"
        for start in range(0, len(values), count):
            parts: list[bytes | memoryview] = []
            for value in values[start : start + count]:
                parts += (separator, memoryview(value)[cut:])
                separator = b",{"
            yield b"".join(parts)
        yield b"]}"

    return Reply.made(length, pieces)


async def _protobuf(
    head: bytes,
    message: Callable[[str, bytes], bytes],
    items: list[KeyValue],
    meta: ListMeta,
    turn: Turn,
) -> Reply:
    """A list in protobuf, joined from its items' messages, which are kept for each revision."""
    parts: list[bytes | memoryview] = [media.list_meta(meta)]
    for start in range(0, len(items), AT_ONCE):
        for item in items[start : start + AT_ONCE]:
            data = message(item.key, item.value)
            parts += (b"\x12" + protobuf.varint(len(data)), data)
        await turn.pause()
    size = sum(map(len, parts))
    parts.insert(0, head + protobuf.varint(size))
    parts.append(protobuf.TAIL)
    answer = Reply.joined(parts, size + len(parts[0]) + len(protobuf.TAIL))
    answer.content_type = negotiate.PROTOBUF
    return answer


def _go_name(endpoint: Endpoint) -> str:
    """The kind as upstream names its type in messages."""
    package = endpoint.resource.group.partition(".")[0] or "core"
    return f"{package}.{endpoint.resource.kind}"
