"""WebSockets into pods, to logs and of watches, in every protocol that upstream speaks."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import WSMsgType

from tests.apiserver.wire import AUTHORITY, SERVING, TOKEN
from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.apiserver import serve
from trireme.apiserver.nodes import sockets
from trireme.apiserver.nodes.contract import NodeAnswer
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.apiserver.settings.authentication import Authentication
from trireme.kit import spdy
from trireme.kit.env import Env
from trireme.machinery.errors import ApiError
from trireme.machinery.meta import ObjectMeta
from trireme.store.contract import Subscription, SubscriptionClosed
from trireme.testing import clients, control_plane

POD = "/api/v1/namespaces/default/pods/p"
SUCCESS = b'{"metadata":{},"status":"Success"}'
FAILURE = b'{"metadata":{},"status":"Failure","message":"command terminated","reason":"NonZero"}'
Play = Callable[["Far"], Coroutine[Any, Any, None]]


class Far:
    """The runtime's end of a connection: what it was asked, the streams that were opened."""

    def __init__(self, path: str, query: str) -> None:
        self.path, self.query = path, parse_qs(query)
        self.streams: dict[int, dict[str, str]] = {}
        self.events: asyncio.Queue[spdy.Event] = asyncio.Queue()
        self._spdy = spdy.Connection(client=False)
        self._out: asyncio.Queue[bytes] = asyncio.Queue()

    # What the API server sees of it.
    async def read(self) -> bytes:
        return await self._out.get()

    async def write(self, data: bytes) -> None:
        for event in self._spdy.receive(data):
            if isinstance(event, spdy.Opened):
                self.streams[event.stream] = event.headers
            self.events.put_nowait(event)

    def close(self) -> None:
        self._out.put_nowait(b"")

    # What it does.
    def stream(self, **expected: str) -> int:
        """The stream with these headers."""
        expected = {name.lower(): value for name, value in expected.items()}
        return next(n for n, headers in self.streams.items() if expected.items() <= headers.items())

    async def opened(self, count: int) -> None:
        while len(self.streams) < count:
            assert isinstance(await self.events.get(), spdy.Opened)

    def send(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        self._spdy.send(stream, data, fin=fin)
        self._out.put_nowait(self._spdy.take())

    async def data(self) -> spdy.Data:
        """The next bytes that come."""
        while True:
            event = await self.events.get()
            if isinstance(event, spdy.Data):
                return event


class Node:
    """Stands for every kubelet."""

    def __init__(self, play: Play, log: tuple[bytes, ...] = ()) -> None:
        self._play, self._log = play, log
        self._tasks: set[asyncio.Task[None]] = set()

    async def upgrade(
        self, node: str, path: str, query: str, *_: Any
    ) -> tuple[Far, dict[str, str]]:
        far = Far(path, query)
        self._tasks.add(asyncio.create_task(self._play(far)))
        return far, {}

    async def request(self, node: str, method: str, path: str, query: str) -> NodeAnswer:
        async def chunks() -> AsyncGenerator[bytes, None]:
            for chunk in self._log:
                yield chunk
            if "follow" in query:
                await asyncio.Event().wait()

        return NodeAnswer(200, chunks())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()


class Site:
    """An API server on loopback with a pod, and a client of it."""

    def __init__(self, server: ApiServer, session: aiohttp.ClientSession, port: int) -> None:
        self.server = server
        self._session = session
        self._url = f"https://127.0.0.1:{port}"

    def socket(self, path: str, *protocols: str, **more: Any) -> Any:
        return self._session.ws_connect(self._url + path, protocols=protocols, **more)


@asynccontextmanager
async def site(node: Any) -> AsyncIterator[Site]:
    config: dict[str, Any] = {
        "listen": (("127.0.0.1", 0),),
        "serving": SERVING,
        "authentication": Authentication(
            static_tokens={TOKEN: ("admin", "1", ("system:masters",))}
        ),
        "kubelet_transport": node,
    }
    context = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    async with (
        control_plane.api_server(Env(), **config) as server,
        serve.listening(server) as bound,
        aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {TOKEN}"},
            connector=aiohttp.TCPConnector(ssl=context),
        ) as session,
    ):
        client = clients.client(server)
        spec = PodSpec(nodeName="n", containers=[Container(name="c", image="i:1")])
        await client.create(Pod(metadata=ObjectMeta(name="p", namespace="default"), spec=spec))
        yield Site(server, session, bound[0][1])


async def echo(far: Far) -> None:
    """A command that says ``ready``, its input in capitals until that ends with ``.``, then how it
    has ended."""
    await far.opened(4)
    out, error = far.stream(streamType="stdout"), far.stream(streamType="error")
    far.send(out, b"ready")
    while True:
        came = await far.data()
        if came.fin or came.data == b".":
            break
        far.send(out, came.data.upper())
    far.send(far.stream(streamType="stderr"), b"bye", fin=True)
    far.send(out, b"", fin=True)
    far.send(error, FAILURE if far.query["command"] == ["fail"] else SUCCESS, fin=True)


def framed(protocol: str, channel: int, data: bytes) -> bytes | str:
    if "base64" in protocol:
        return f"{channel}{base64.b64encode(data).decode()}"
    return bytes([channel]) + data


async def said(socket: Any, protocol: str) -> list[tuple[int, bytes]]:
    """Channel and bytes of every message until the end."""
    found = []
    async for message in socket:
        if "base64" in protocol:
            assert message.type is WSMsgType.TEXT
            found.append((int(message.data[0]), base64.b64decode(message.data[1:])))
        else:
            assert message.type is WSMsgType.BINARY
            found.append((message.data[0], message.data[1:]))
    return found


@pytest.mark.parametrize(
    ("offered", "spoken"),
    [
        (("v5.channel.k8s.io",), "v5.channel.k8s.io"),
        # As @kubernetes/client-node and the Python client offer them.
        (("v4.channel.k8s.io", "v5.channel.k8s.io"), "v5.channel.k8s.io"),
        (("v4.channel.k8s.io", "channel.k8s.io"), "v4.channel.k8s.io"),
        (("channel.k8s.io", "v4.channel.k8s.io"), "channel.k8s.io"),
        (("v4.base64.channel.k8s.io",), "v4.base64.channel.k8s.io"),
        (("base64.channel.k8s.io",), "base64.channel.k8s.io"),
        (("what.is.this", "base64.channel.k8s.io"), "base64.channel.k8s.io"),
        ((), ""),
    ],
)
@pytest.mark.parametrize("command", ["succeed", "fail"])
async def test_exec(offered: tuple[str, ...], spoken: str, command: str) -> None:
    path = f"{POD}/exec?command={command}&stdin=1&stdout=1&stderr=1"
    async with site(Node(echo)) as here, here.socket(path, *offered) as socket:
        assert (socket.protocol or "") == spoken
        for data in (b"hello", b"" if spoken.startswith("v5") else b"."):
            sent = framed(spoken, 0, data) if data else b"\xff\x00"
            await (socket.send_str(sent) if isinstance(sent, str) else socket.send_bytes(sent))
        status = FAILURE if command == "fail" else SUCCESS
        ending = [(3, status)]
        if not spoken.startswith(("v4", "v5")):
            # Text, and only for what went wrong.
            ending = [(3, b"command terminated")] if command == "fail" else []
        # The empty message says that the connection is there.
        expected = [(1, b""), (1, b"ready"), (1, b"HELLO"), (2, b"bye"), *ending]
        assert await said(socket, spoken) == expected


async def test_attach_with_nothing_but_a_terminal() -> None:
    async def play(far: Far) -> None:
        await far.opened(4)
        size = await far.data()
        assert far.streams[size.stream] == {"streamtype": "resize"}
        far.send(far.stream(streamType="stdout"), size.data, fin=True)
        far.send(far.stream(streamType="error"), SUCCESS, fin=True)

    path = f"{POD}/attach?stdin=1&stdout=1&tty=1"
    async with site(Node(play)) as here, here.socket(path, "v4.channel.k8s.io") as socket:
        await socket.send_bytes(b"\x04" + b'{"Width":80}')
        expected = [(1, b""), (1, b'{"Width":80}'), (3, SUCCESS)]
        assert await said(socket, "") == expected


async def ports(far: Far) -> None:
    """Two ports: what comes goes back with the port before it; the second cannot be reached."""
    await far.opened(4)
    far.send(far.stream(streamType="error", port="81"), b"connection refused", fin=True)
    far.send(far.stream(streamType="data", port="81"), b"", fin=True)
    data, error = (far.stream(streamType=kind, port="80") for kind in ("data", "error"))
    assert (await far.data()).stream == data
    far.send(data, b"from 80", fin=True)
    far.send(error, b"", fin=True)


@pytest.mark.parametrize("query", ["ports=80&ports=81", "ports=80,81"])
@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v4.base64.channel.k8s.io", ""])
async def test_port_forward_in_channels(protocol: str, query: str) -> None:
    offered = ("v5.channel.k8s.io", protocol) if protocol else ()
    async with (
        site(Node(ports)) as here,
        here.socket(f"{POD}/portforward?{query}", *offered) as socket,
    ):
        sent = framed(protocol, 0, b"ping")
        await (socket.send_str(sent) if isinstance(sent, str) else socket.send_bytes(sent))
        assert (socket.protocol or "") == protocol
        found = await said(socket, protocol)
        # Each channel begins with the number of its port.
        assert found[:4] == [(0, b"\x50\x00"), (1, b"\x50\x00"), (2, b"\x51\x00"), (3, b"\x51\x00")]
        assert found[4:] == [(3, b"connection refused"), (0, b"from 80")]


@pytest.mark.parametrize(
    "query", ["", "ports=0", "ports=x", "ports=65536", "ports=80,", "ports=" + "1," * 127 + "1"]
)
async def test_ports_that_are_none(query: str) -> None:
    async with site(Node(ports)) as here:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await here.socket(f"{POD}/portforward?{query}", "v4.channel.k8s.io")
        assert refused.value.status == 400


async def test_port_forward_tunnelled() -> None:
    async def play(far: Far) -> None:
        await far.opened(1)
        far.send(1, b"tunnelled", fin=True)

    protocol = "SPDY/3.1+portforward.k8s.io"
    async with site(Node(play)) as here, here.socket(f"{POD}/portforward", protocol) as socket:
        assert socket.protocol == protocol
        near = spdy.Connection()
        near.open({"streamType": "data"})
        await socket.send_bytes(near.take())
        message = await socket.receive()
        assert near.receive(message.data) == [spdy.Data(1, b"tunnelled", True)]


@pytest.mark.parametrize(
    "part", ["exec?command=x&stdout=1", "attach?stdout=1", "portforward", "log"]
)
async def test_a_protocol_that_nobody_speaks(part: str) -> None:
    async with site(Node(echo)) as here:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await here.socket(f"{POD}/{part}", "what.is.this")
        assert refused.value.status == 400


@pytest.mark.parametrize("protocol", ["binary.k8s.io", "base64.binary.k8s.io", ""])
async def test_a_log(protocol: str) -> None:
    offered = (protocol,) if protocol else ()
    node = Node(echo, log=(b"one\n", b"two\n"))
    async with site(node) as here, here.socket(f"{POD}/log", *offered) as socket:
        assert (socket.protocol or "") == protocol
        found = [message.data async for message in socket]
        lines = [b"", b"one\n", b"two\n"]
        if protocol.startswith("base64"):
            assert found == [base64.b64encode(line).decode() for line in lines]
        else:
            assert found == lines


async def test_a_log_that_is_followed_ends_with_its_reader() -> None:
    async with (
        site(Node(echo, log=(b"one\n",))) as here,
        here.socket(f"{POD}/log?follow=true", "binary.k8s.io") as socket,
    ):
        assert (await socket.receive()).data == b""
        assert (await socket.receive()).data == b"one\n"
        await socket.close()


def config_map(name: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data={"a": "b\nc"})


async def test_a_watch() -> None:
    path = "/api/v1/namespaces/default/configmaps?watch=true"
    async with site(Node(echo)) as here, here.socket(path) as socket:
        client = clients.client(here.server)
        for name in ("a", "b"):
            await client.create(config_map(name))
            message = await socket.receive()
            assert message.type is WSMsgType.TEXT
            event = json.loads(message.data)
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
            assert message.data.endswith("}\n")


async def test_a_watch_tells_each_event_in_a_message_of_its_own() -> None:
    path = "/api/v1/namespaces/default/configmaps?watch=true&sendInitialEvents=true"
    path += "&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    accepts = {"Accept": "application/vnd.kubernetes.protobuf"}
    for headers, kind in ((None, WSMsgType.TEXT), (accepts, WSMsgType.BINARY)):
        async with site(Node(echo)) as here:
            client = clients.client(here.server)
            for each in ("a", "b"):
                await client.create(config_map(each))
            async with here.socket(path, headers=headers) as socket:
                for name in (b'"a"', b'"b"', b"BOOKMARK"):
                    message = await socket.receive()
                    assert message.type is kind
                    data = message.data.encode() if kind is WSMsgType.TEXT else message.data
                    expected = name if kind is WSMsgType.TEXT else name.strip(b'"')
                    assert expected in data
                    # No length stands before a message.
                    assert kind is WSMsgType.TEXT or data[:1] == b"\n"


async def test_a_watch_ends_with_its_reader() -> None:
    async with site(Node(echo)) as here:
        subscriptions: list[Subscription] = []
        watch = here.server.context.store.watch

        def noted(*given: Any, **more: Any) -> Subscription:
            subscriptions.append(watch(*given, **more))
            return subscriptions[-1]

        here.server.context.store.watch = noted  # type: ignore[method-assign]
        async with here.socket("/api/v1/configmaps?watch=true", "anything.at.all") as socket:
            # A watch has no protocols of its own.
            assert socket.protocol == "anything.at.all"
        with pytest.raises(SubscriptionClosed):
            async with asyncio.timeout(10):
                # The server reads it until it sees that the socket has closed.
                while not subscriptions[0].take():  # noqa: ASYNC110
                    await asyncio.sleep(0)


async def test_a_watch_that_is_refused_is_answered_as_ever() -> None:
    async with site(Node(echo)) as here:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await here.socket("/api/v1/configmaps?watch=true&fieldSelector=spec.x%3D1")
        assert refused.value.status == 400


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", [""]),
        ("a, b", ["a", "b"]),
        ("base64url.bearer.authorization.k8s.io.dG9rZW4, a", ["a"]),
        ("base64url.bearer.authorization.k8s.io.dG9rZW4", [""]),
    ],
)
def test_what_is_offered(header: str, expected: list[str]) -> None:
    request = Request("GET", "/", headers={"sec-websocket-protocol": header})
    assert sockets.offered(request) == expected
    with pytest.raises(ApiError, match="supports none at all, c"):
        sockets.accepted_protocol(
            Request("GET", "/", headers={"sec-websocket-protocol": "x"}), ("", "c")
        )
