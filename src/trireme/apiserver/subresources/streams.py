"""``exec``, ``attach`` and ``portforward``: a client's connection joined with the kubelet's.

Three ways in, by what the client asks to upgrade to:
- SPDY: bytes pass through untouched, the kubelet's runtime speaks SPDY itself;
- WebSocket channel.k8s.io, in its versions, base64 or without a name: translated to SPDY streams;
- WebSocket SPDY/3.1+portforward.k8s.io: SPDY bytes tunnelled in binary messages.
Upstream: KEP-4006; apiserver ``util/proxy``, cri-streaming.
"""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web
from aiohttp.web_request import BaseRequest

from trireme.apiserver.authz import requests
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import SubresourceHandler
from trireme.apiserver.nodes import joining, sockets, translate
from trireme.apiserver.nodes.contract import RawStream
from trireme.apiserver.reply.reply import AnyReply, UpgradeReply
from trireme.apiserver.request import Request
from trireme.apiserver.subresources import connections, pods
from trireme.kit import hijack, tasks
from trireme.machinery import errors, gotext

SPDY = "SPDY/3.1"
TUNNELLED = "SPDY/3.1+portforward.k8s.io"
V5 = "v5.channel.k8s.io"
CHANNELS = (
    "",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "v2.channel.k8s.io",
    "v3.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
)
PORT_CHANNELS = ("", "v4.channel.k8s.io", "v4.base64.channel.k8s.io")
# Each takes two channels, whose numbers are a byte, and 255 means another thing.
_PORTS_LIMIT = 127
_COMMAND_OPTIONS = ("stdin", "stdout", "stderr", "tty")


async def exec_(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """Run a command in a container."""
    await _check_create(context, request)
    if not request.query.get("command"):
        raise errors.bad_request("you must specify at least 1 command for the container")
    return await _command(context, request, endpoint, "exec")


async def attach(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """Join a container's own process."""
    await _check_create(context, request)
    return await _command(context, request, endpoint, "attach")


async def port_forward(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """Carry connections to a pod's ports."""
    await _check_create(context, request)
    await connections.admit(context, request, endpoint)
    pod = pods.pod_of(context, request)
    node = pods.node_of(pod)
    path = f"/portForward/{pod.metadata.namespace}/{pod.metadata.name}"
    upgrade = _upgrade_of(request)
    headers = {"X-Stream-Protocol-Version": "portforward.k8s.io"}

    async def run(incoming: BaseRequest) -> web.StreamResponse:
        if upgrade == "websocket":
            if TUNNELLED in sockets.offered(request):
                stream, _ = await context.kubelets.upgrade(node, path, "", SPDY, headers)
                return await _tunnel(incoming, stream)
            accepted_protocol = sockets.accepted_protocol(request, PORT_CHANNELS)
            numbers = _ports(request)
            stream, _ = await context.kubelets.upgrade(node, path, "", SPDY, headers)
            return await translate.ports(incoming, stream, numbers, accepted_protocol)
        stream, answer = await context.kubelets.upgrade(node, path, "", SPDY, headers)
        return await _pass_through(incoming, stream, answer)

    return UpgradeReply(run)


async def _check_create(context: ServerContext, request: Request) -> None:
    """WebSockets begin with a GET: the right to read is not enough for what is done here."""
    if context.gates.on("AuthorizePodWebsocketUpgradeCreatePermission"):
        await requests.check_verb(context.authorizer, request, "create")


async def _command(
    context: ServerContext, request: Request, endpoint: Endpoint, verb: str
) -> AnyReply:
    await connections.admit(context, request, endpoint)
    pod = pods.pod_of(context, request)
    container = pods.container_of(pod, request.param("container"))
    node = pods.node_of(pod)
    streams = {name: request.flag(name) for name in _COMMAND_OPTIONS}
    if not any(streams[name] for name in ("stdin", "stdout", "stderr")):
        raise errors.bad_request("you must specify at least one of stdin, stdout, stderr")
    if streams["tty"]:
        streams["stderr"] = False
    query = [("command", item) for item in request.query.get("command", [])]
    query += [
        (name if name == "tty" else name.replace("std", "") + "put", "1")
        for name, upgrade in streams.items()
        if upgrade and name != "stderr"
    ]
    query += [("error", "1")] if streams["stderr"] else []
    path = f"/{verb}/{pod.metadata.namespace}/{pod.metadata.name}/{container}"
    upgrade = _upgrade_of(request)

    async def run(incoming: BaseRequest) -> web.StreamResponse:
        if upgrade == "websocket":
            # Whoever can say that its input has ended is taken at that word.
            can_close = V5 in sockets.offered(request)
            accepted_protocol = V5 if can_close else sockets.accepted_protocol(request, CHANNELS)
            headers = {"X-Stream-Protocol-Version": "v4.channel.k8s.io"}
            stream, _ = await context.kubelets.upgrade(node, path, urlencode(query), SPDY, headers)
            return await translate.command(incoming, stream, streams, accepted_protocol)
        offered = request.headers.get("x-stream-protocol-version", "")
        headers = {"X-Stream-Protocol-Version": offered or "v4.channel.k8s.io"}
        stream, answer = await context.kubelets.upgrade(node, path, urlencode(query), SPDY, headers)
        return await _pass_through(incoming, stream, answer)

    return UpgradeReply(run)


def _upgrade_of(request: Request) -> str:
    """What the client wants to upgrade to, in lower case; 400 when it does not."""
    if request.upgrade is None:
        raise errors.bad_request("this connection cannot be upgraded")
    upgrade = request.headers.get("upgrade", "").lower()
    if "upgrade" not in request.headers.get("connection", "").lower() or not upgrade:
        raise errors.bad_request("Upgrade request required")
    if upgrade not in ("websocket", SPDY.lower()):
        raise errors.bad_request(f"upgrade to {upgrade} is not supported")
    return upgrade


def _ports(request: Request) -> list[int]:
    """The ports that channels are asked for; 400 for what is none."""
    texts = [text for value in request.query.get("ports", []) for text in value.split(",")]
    if not texts:
        raise errors.bad_request('query parameter "port" is required')
    for text in texts:
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
            raise errors.bad_request(f"unable to parse {gotext.quote(text)} as a port")
    if len(texts) > _PORTS_LIMIT:
        raise errors.bad_request(f"at most {_PORTS_LIMIT} ports are forwarded over one WebSocket")
    return [int(text) for text in texts]


async def _pass_through(
    incoming: BaseRequest, stream: RawStream, answer: dict[str, str]
) -> web.StreamResponse:
    """Join the two connections byte for byte."""
    head = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {SPDY}"]
    accepted_protocol = answer.get("x-stream-protocol-version")
    if accepted_protocol:
        head.append(f"X-Stream-Protocol-Version: {accepted_protocol}")
    try:
        client = hijack.take(incoming, "\r\n".join([*head, "", ""]).encode())
    except ConnectionError:
        stream.close()
        raise
    await joining.join(client, stream)
    return hijack.Hijacked()


async def _tunnel(incoming: BaseRequest, stream: RawStream) -> web.StreamResponse:
    """Carry the kubelet's bytes in binary WebSocket messages."""
    try:
        socket = await sockets.opened(incoming, TUNNELLED)

        async def up() -> None:
            async for message in socket:
                if message.type in (web.WSMsgType.BINARY, web.WSMsgType.TEXT):
                    data = message.data
                    await stream.write(data if isinstance(data, bytes) else data.encode())

        async def down() -> None:
            while data := await stream.read():
                await socket.send_bytes(data)

        await tasks.until_first(up(), down())
        await socket.close()
        return socket
    finally:
        stream.close()


EXEC = SubresourceHandler("pods", "exec", {"create": exec_, "get": exec_})
ATTACH = SubresourceHandler("pods", "attach", {"create": attach, "get": attach})
PORT_FORWARD = SubresourceHandler(
    "pods", "portforward", {"create": port_forward, "get": port_forward}
)
