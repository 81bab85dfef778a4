"""/openapi/v3: an index with hashes, and one document per path of the API; /openapi/v2: all in one.

Documents are made when they are asked for and kept until what is served changes. A v3 document's
address carries its hash, so that clients keep it for ever. Upstream: KEP-2896; kube-openapi
``handler`` and ``handler3``.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

import msgspec

from trireme.api.apiregistration.v1.apiservice import APIService
from trireme.apiserver.aggregate import proxy
from trireme.apiserver.config import VERSION
from trireme.apiserver.context import ServerContext
from trireme.apiserver.handlers import Route
from trireme.apiserver.openapi import remote, v2, v3proto
from trireme.apiserver.openapi.custom_kinds import Published
from trireme.apiserver.openapi.documents import Source, Steps
from trireme.apiserver.reply import negotiate
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.apiserver.served import ServedKinds

JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
# The first is the name that clients used to ask by; the @ in it is no token of a media type.
_V2_NAMES = {
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": V2_PROTOBUF,
    V2_PROTOBUF: V2_PROTOBUF,
}
_V3_NAMES = {
    "application/com.github.proto-openapi.spec.v3@v1.0+protobuf": V3_PROTOBUF,
    V3_PROTOBUF: V3_PROTOBUF,
}
# What a document with the right hash in its address may be kept for: upstream's year.
_FOR_EVER = "public, max-age=31536000, immutable"


async def answer(context: ServerContext, request: Request) -> AnyReply:
    """The index at /openapi/v3, the documents below it."""
    source = _source(context)
    path = "/".join(request.path.strip("/").split("/")[2:])
    if not path:
        # Upstream leaves the type of the index to be guessed from its bytes.
        body = msgspec.json.encode({"paths": _index(source)})
        return _cached(request, body, _TEXT, hashlib.sha512(body).hexdigest().upper())
    theirs = remote.documents(source.remote, source.documents()).get(path)
    if theirs is not None:
        obj = context.reader.get(APIService, "", theirs.name)
        if obj is not None and obj.spec.service is not None:
            return await proxy.answer(context, request, obj)
    if path not in source.documents():
        return Reply(404, b"", _TEXT)
    form = _form(request, _V3_NAMES)
    if not form:
        return Reply(406, b"", _TEXT)
    found = source.digest(path)
    requested = request.param("hash")
    if requested and requested != found:
        return Reply(301, b"", "text/plain", {"Location": _address(path, found)})
    made = await source.kept(f"v3/{form}/{path}", lambda: _encode_v3(source, path, form))
    answered = _cached(request, made.body, form, found)
    if requested:
        answered.headers["Cache-Control"] = _FOR_EVER
    return answered


async def swagger(context: ServerContext, request: Request) -> AnyReply:
    """The whole API as one v2 document, as JSON or as protobuf."""
    source = _source(context)
    form = _form(request, _V2_NAMES)
    if not form:
        return Reply(406, b"", _TEXT)
    made = await source.kept(f"v2/{form}", lambda: _encode_v2(source, form))
    return _cached(request, made.body, form, made.digest)


def _source(context: ServerContext) -> Source:
    """What the documents are made of, made anew after a kind has come or gone."""
    return context.served.derived(_make_source)


def _make_source(served: ServedKinds) -> Source:
    return Source(served.versions(), served.media, Published(served.custom.all()), served.remote)


def _index(source: Source) -> dict[str, Any]:
    addresses = {path: _address(path, source.digest(path)) for path in source.documents()}
    for path, theirs in remote.documents(source.remote, source.documents()).items():
        addresses[path] = theirs.openapi[path]
    return {path: {"serverRelativeURL": addresses[path]} for path in sorted(addresses)}


def _address(path: str, digest: str) -> str:
    return f"/openapi/v3/{path}?hash={digest}"


def _encode_v3(source: Source, path: str, form: str) -> Steps[bytes]:
    document = yield from source.document(path)
    return v3proto.encode(document) if form == V3_PROTOBUF else msgspec.json.encode(document)


def _encode_v2(source: Source, form: str) -> Steps[bytes]:
    whole = yield from source.whole()
    encode = v2.protobuf if form == V2_PROTOBUF else v2.json
    added = partial(remote.addition, source.remote)
    return (yield from encode(whole["paths"], whole["components"]["schemas"], VERSION, added))


def _form(request: Request, names: dict[str, str]) -> str:
    """JSON, or protobuf by one of its names; "" where neither is accepted."""
    for clause in negotiate.clauses(request.headers.get("accept", "") or "*/*"):
        media = f"{clause.type}/{clause.subtype}"
        if media in names:
            return names[media]
        if clause.covers(JSON):
            return JSON
    return ""


def _cached(request: Request, body: bytes, form: str, digest: str) -> Reply:
    """A document with its ETag; 304 for who has it already."""
    tag = f'"{digest}"'
    answered = Reply(200, body, form, {"ETag": tag, "Vary": "Accept"})
    known = request.headers.get("if-none-match", "")
    if known and tag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Reply(304, b"", form, answered.headers)
    return answered


V2 = Route("/openapi/v2", swagger)
ROUTE = Route("/openapi/v3", answer, prefix=True)
