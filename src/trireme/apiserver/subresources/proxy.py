"""``pods/<name>/proxy``, ``services/<name>/proxy``, ``nodes/<name>/proxy``: HTTP passed on.

The name may say more than the object: ``name:port`` or ``scheme:name:port``, the port by number or
by name. A Service's request goes to one of its ready endpoints, a node's to its kubelet. Upstream:
https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from trireme.api.core.v1.node import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.service import Service
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import SubresourceHandler
from trireme.apiserver.nodes import services
from trireme.apiserver.nodes.contract import NodeAnswer
from trireme.apiserver.reply import links
from trireme.apiserver.reply.reply import AnyReply, Reply, StreamReply
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.apiserver.server import ApiServer
from trireme.machinery import errors, gotext

KUBELET_PORT = 10250
# Headers that belong to one connection, or that are the API server's own business.
_NOT_PASSED = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
        "authorization",
    ]
)

# How zlib is to read a content coding; pages in any other are passed on as they are.
_WINDOW = {"": 0, "gzip": zlib.MAX_WBITS | 16, "deflate": -zlib.MAX_WBITS}


class Target(NamedTuple):
    """What a name in a proxy path means. ``port`` is a number, a name, or empty."""

    scheme: str
    name: str
    port: str


def parse(text: str) -> Target:
    """``name``, ``name:port`` or ``scheme:name:port``; 400 for anything else."""
    parts = text.split(":")
    if len(parts) == 1:
        return Target("http", parts[0], "")
    if len(parts) == 2:
        return Target("http", *parts)
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return Target(parts[0] or "http", parts[1], parts[2])
    raise errors.bad_request(f"invalid proxy request {gotext.quote(text)}")


async def pod(server: ApiServer, request: Request, endpoint: Endpoint) -> AnyReply:
    """To a pod's address."""
    target, info = parse(request.info.name), request.info
    await _admit(server, request, endpoint, target.name)
    found: Pod = endpoint.load(server.registry.get(endpoint, info.namespace, target.name))
    if not found.status.podIP:
        raise errors.service_unavailable(f"pod {target.name} has no address yet")
    port = target.port
    if not port:
        ports = [p for c in found.spec.containers for p in c.ports if p.protocol != "UDP"]
        port = str(ports[0].containerPort) if ports else ""
    elif not (port.isascii() and port.isdigit()):
        named = [p for c in found.spec.containers for p in c.ports if p.name == port]
        if not named:
            raise errors.bad_request(f"pod {target.name} has no port {gotext.quote(port)}")
        port = str(named[0].containerPort)
    return await _pass_on(server, request, target.scheme, found.status.podIP, port)


async def service(server: ApiServer, request: Request, endpoint: Endpoint) -> AnyReply:
    """To a ready endpoint of a Service."""
    target, info = parse(request.info.name), request.info
    await _admit(server, request, endpoint, target.name)
    found: Service = endpoint.load(server.registry.get(endpoint, info.namespace, target.name))
    wanted = [
        port
        for port in found.spec.ports
        if not target.port or target.port in (port.name, str(port.port))
    ]
    if not wanted:
        raise errors.service_unavailable(
            f"no service port {gotext.quote(target.port)} found for service "
            f"{gotext.quote(target.name)}"
        )
    choices = services.backends(server.reader, info.namespace, target.name, wanted[0].name)
    if not choices:
        raise errors.service_unavailable(
            f"no endpoints available for service {gotext.quote(target.name)}"
        )
    address, port = server.env.rng.choice(choices)
    return await _pass_on(server, request, target.scheme, address, str(port))


async def node(server: ApiServer, request: Request, endpoint: Endpoint) -> AnyReply:
    """To a node's kubelet, or to another port of the node."""
    target = parse(request.info.name)
    await _admit(server, request, endpoint, target.name)
    found: Node = endpoint.load(server.registry.get(endpoint, "", target.name))
    if target.port in ("", str(KUBELET_PORT)):
        path, query = _rest(request), urlencode(request.query, doseq=True)
        answer = await server.kubelets.request(target.name, request.method, path, query)
        return StreamReply(answer.chunks, answer.status, answer.content_type)
    address = next((a.address for a in found.status.addresses if a.type == "InternalIP"), "")
    if not address:
        raise errors.service_unavailable(f"node {target.name} has no address")
    return await _pass_on(server, request, target.scheme, address, target.port)


async def _admit(server: ApiServer, request: Request, endpoint: Endpoint, name: str) -> None:
    if request.headers.get("upgrade", ""):
        raise errors.bad_request("upgraded connections are not passed on by this proxy")
    user = request.user or ANONYMOUS
    await server.registry.connect(endpoint, "proxy", request.info.namespace, name, user, None)


async def _pass_on(
    server: ApiServer, request: Request, scheme: str, address: str, port: str
) -> AnyReply:
    if request.path == _base(request) and request.method in ("GET", "HEAD"):
        # Relative links of the page would miss their target without the slash.
        query = "?" + urlencode(request.query, doseq=True) if request.query else ""
        return Reply(301, b"", "", {"Location": f"{request.path}/{query}"})
    host = f"[{address}]" if ":" in address else address
    origin = f"{scheme}://{host}:{port}" if port else f"{scheme}://{host}"
    url = origin + _rest(request)
    if request.query:
        url += "?" + urlencode(request.query, doseq=True)
    headers = {
        name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED
    }
    if request.remote:
        headers["X-Forwarded-For"] = request.remote
    answer = await server.kubelets.fetch(request.method, url, headers, request.body)
    return _reply(request, answer, origin, url)


def _reply(request: Request, answer: NodeAnswer, origin: str, url: str) -> StreamReply:
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name.lower() not in _NOT_PASSED and name.lower() != "content-type"
    }
    location = headers.pop("Location", "")
    if location:
        headers["Location"] = _through_us(request, urljoin(url, location), origin)
    content_type = answer.headers.get("Content-Type", answer.content_type)
    chunks, coding = answer.chunks, headers.get("Content-Encoding", "")
    is_page = content_type.partition(";")[0].strip() == "text/html"
    if is_page and not location and coding in _WINDOW:
        hosts = (urlsplit(origin).netloc, request.headers.get("host", ""))
        chunks = _page(chunks, coding, _base(request), hosts)
        headers.pop("Content-Encoding", None)
    return StreamReply(chunks, answer.status, content_type, headers)


async def _page(
    chunks: AsyncIterator[bytes], coding: str, prefix: str, hosts: tuple[str, str]
) -> AsyncIterator[bytes]:
    """A page, whole and not compressed, with its links led through the proxy."""
    page = b"".join([chunk async for chunk in chunks])
    if coding and page:
        page = zlib.decompress(page, wbits=_WINDOW[coding])
    yield links.rewrite_page(page, prefix, hosts)


def _through_us(request: Request, target: str, origin: str) -> str:
    """A redirect to the same server leads through the proxy again; any other is left alone."""
    if not target.startswith(origin):
        return target
    parts = urlsplit(target)
    path = _base(request) + (parts.path or "/")
    return f"{path}?{parts.query}" if parts.query else path


def _rest(request: Request) -> str:
    """The path behind the proxy, as the client wrote it."""
    return request.path[len(_base(request)) :] or "/"


def _base(request: Request) -> str:
    """The path up to and with ``/proxy``."""
    parts = request.path.split("/")
    at = parts.index(request.info.resource) + 2
    return "/".join(parts[: at + 1])


_VERBS = ("create", "delete", "get", "options", "patch", "update")
POD = SubresourceHandler("pods", "proxy", dict.fromkeys(_VERBS, pod))
SERVICE = SubresourceHandler("services", "proxy", dict.fromkeys(_VERBS, service))
NODE = SubresourceHandler("nodes", "proxy", dict.fromkeys(_VERBS, node))
