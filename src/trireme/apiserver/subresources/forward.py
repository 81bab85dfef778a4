"""A client's request passed on to another server, and its answer on the way back.

In: the request, and the origin (``http://10.0.0.1:80``) that it is for. Out: the answer, with what
means the origin led through the API server again. Called by the proxy subresources. Upstream:
apimachinery ``util/proxy`` (UpgradeAwareHandler, Transport), Go's ReverseProxy.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncGenerator
from urllib.parse import quote, unquote, urlsplit

from trireme.apiserver.context import ServerContext
from trireme.apiserver.nodes import headers
from trireme.apiserver.nodes.contract import NodeAnswer
from trireme.apiserver.reply import links, pages
from trireme.apiserver.reply.reply import AnyReply, Chunks, Closing, Reply, StreamReply
from trireme.apiserver.request import Request
from trireme.machinery import errors, gotext

# What Go leaves as it is in a path.
_PLAIN = "$&+,/:;=@-._~"


async def pass_on(
    context: ServerContext, request: Request, origin: str, node: str = ""
) -> AnyReply:
    """The answer of ``origin``; with ``node`` it is that node's kubelet."""
    path, base = _rest(request), _base(request)
    query = f"?{request.raw_query}" if request.raw_query else ""
    if not path and request.method in ("GET", "HEAD"):
        # Relative links of the page would miss their target without the slash.
        return Reply(301, b"", "", {"Location": f"{request.path}/{query}"})
    path = path or "/"
    context.authenticator.clear_identity(request)
    passed = headers.of_request(request.headers, request.remote, base + path)
    url = f"{origin}{path}{query}"
    answer = await context.kubelets.fetch(request.method, url, passed, request.body, node)
    return await _reply(request, answer, origin)


async def _reply(request: Request, answer: NodeAnswer, origin: str) -> AnyReply:
    returned = headers.of_answer(answer.headers)
    content_type = returned.pop("Content-Type", "")
    hosts = links.Hosts(urlsplit(origin).netloc, request.headers.get("host", ""))
    location = returned.get("Location", "")
    if location:
        try:
            urlsplit(location)
        except ValueError as problem:
            await answer.chunks.aclose()
            raise errors.internal_error(
                f"error trying to parse Location header: parse {gotext.quote(location)}: {problem}"
            ) from None
        returned["Location"] = links.rewrite(location, _base(request), hosts)
    coding = returned.get("Content-Encoding", "")
    is_page = content_type.partition(";")[0].strip() == "text/html"
    if location or not is_page or coding not in pages.CODINGS or request.method == "HEAD":
        return StreamReply(answer.chunks, answer.status, content_type, returned)
    body, is_whole = await _begin(answer.chunks)
    if is_whole:
        page = await asyncio.to_thread(pages.rewrite, body, coding, _base(request), hosts)
        if page is not None:
            for name in ("Content-Encoding", "Content-Length"):
                returned.pop(name, None)
            return Reply(answer.status, page, content_type, returned)
    chunks = Closing(_after(body, answer.chunks), answer.chunks.aclose)
    return StreamReply(chunks, answer.status, content_type, returned)


async def _begin(chunks: Chunks[bytes]) -> tuple[bytes, bool]:
    """The body, and whether it is the whole: a page that is too large is passed on as it comes."""
    body: list[bytes] = []
    size = 0
    async for chunk in chunks:
        body.append(chunk)
        size += len(chunk)
        if size > pages.LIMIT:
            return b"".join(body), False
    return b"".join(body), True


async def _after(begun: bytes, rest: Chunks[bytes]) -> AsyncGenerator[bytes]:
    yield begun
    async for chunk in rest:
        yield chunk


def _rest(request: Request) -> str:
    """The path behind the proxy, as Go's path.Join makes it; empty where there is none."""
    path = unquote(request.path[len(_base(request)) :])
    if not path:
        return ""
    # Two slashes at the beginning would stay.
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return quote(clean + "/" if path.endswith("/") and clean != "/" else clean, safe=_PLAIN)


def _base(request: Request) -> str:
    """The path up to and with ``/proxy``."""
    parts = request.path.split("/")
    at = parts.index(request.info.resource) + 2
    return "/".join(parts[: at + 1])
