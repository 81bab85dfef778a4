"""Put stored values into the form that the client accepts.

In: stored values and the request's Accept header. Out: replies. The plain JSON form shares the
stored bytes: a list is a join, nothing is decoded (design: encode once).
"""

from __future__ import annotations

import msgspec

from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.reply import negotiate, table
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.machinery.codec import json, yaml
from trireme.machinery.meta import ListMeta
from trireme.store.contract import KeyValue

# Lists up to this many items are joined at once.
MANY = 64


def one(
    request: Request, endpoint: Endpoint, item: KeyValue, now: float, status: int = 200
) -> Reply:
    """A single object."""
    form = negotiate.accept(request.headers.get("accept", ""))
    if form.kind == negotiate.PLAIN:
        return finish(Reply(status, item.value), form)
    if form.kind == negotiate.TABLE:
        include = table.check_include(request.param("includeObject"))
        meta = ListMeta(resourceVersion=str(item.revision))
        body = table.table(endpoint, [item.value], meta, now, include, form.version)
        return finish(Reply(status, body), form)
    return finish(Reply(status, table.partial(item.value, form.version)), form)


def unstored(request: Request, obj: object, status: int = 201) -> Reply:
    """An object that is answered and never stored; it has no table form."""
    form = negotiate.accept(request.headers.get("accept", ""), convertible=False)
    return finish(Reply(status, json.encode(obj)), form)


def many(
    request: Request, endpoint: Endpoint, items: list[KeyValue], meta: ListMeta, now: float
) -> Reply:
    """A list."""
    form = negotiate.accept(request.headers.get("accept", ""))
    if form.kind == negotiate.TABLE:
        include = table.check_include(request.param("includeObject"))
        values = [item.value for item in items]
        return finish(
            Reply(200, table.table(endpoint, values, meta, now, include, form.version)), form
        )
    if form.kind == negotiate.PLAIN:
        return finish(_plain(endpoint, items, meta), form)
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


def _plain(endpoint: Endpoint, items: list[KeyValue], meta: ListMeta) -> Reply:
    """The list as it is stored, each item without its kind and version."""
    cut = endpoint.item_prefix
    head = b"".join((endpoint.list_head, msgspec.json.encode(meta), b',"items":['))
    if len(items) <= MANY:
        body = b",".join([b"{" + item.value[cut:] for item in items])
        return Reply(200, b"".join((head, body, b"]}")))
    parts: list[bytes | memoryview] = [head]
    separator = b"{"
    for item in items:
        parts += (separator, memoryview(item.value)[cut:])
        separator = b",{"
    parts.append(b"]}")
    return Reply.joined(parts, sum(map(len, parts)))


def finish(reply: Reply, form: negotiate.Form) -> Reply:
    """Turn a JSON body into YAML where that is what the client accepts."""
    if form.media == "application/yaml":
        plain = msgspec.json.decode(reply.body)
        reply.body = yaml.dump(plain).encode()
        reply.content_type = "application/yaml"
    return reply
