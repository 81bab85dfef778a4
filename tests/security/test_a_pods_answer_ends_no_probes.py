"""Whatever a container answers to a probe, the kubelet goes on, and so do all other probes.

A redirect without a Location is an answer like any other, as for Go's client; an answer of the
gRPC health service that is cut short is none. Upstream recovers from a panic in a probe's round
(pkg/kubelet/prober/worker.go, doProbe).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc import aio

from tests.kubelet.harness import Node, container, play, pod
from trireme.api.core import v1 as core
from trireme.kubelet.probes.run import Request
from trireme.kubelet.probes.sockets import SocketTransport


@asynccontextmanager
async def answering(head: bytes) -> AsyncIterator[int]:
    """The port of a server on loopback that answers every request with ``head``."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", [b"", b"Location:\r\n"])
async def test_a_redirect_to_nowhere_is_an_answer(status: int, location: bytes) -> None:
    transport = SocketTransport()
    head = b"HTTP/1.1 %d Moved\r\n%sContent-Length: 2\r\n\r\nhi" % (status, location)
    try:
        async with answering(head) as port:
            answer = await transport.http(Request("http", "127.0.0.1", port, "/", (), 5.0))
    finally:
        await transport.close()
    assert (answer.status, answer.body) == (status, "hi")


@pytest.mark.parametrize("body", [b"", b"\x08", b"\x08\x7f", b"\xff\xff"])
async def test_a_health_answer_cut_short_is_unknown(body: bytes) -> None:
    async def check(request: bytes, context: object) -> bytes:
        return body

    server = aio.server()
    handler = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        assert await SocketTransport().grpc("127.0.0.1", port, "", 5.0) == "UNKNOWN"
    finally:
        await server.stop(None)


def test_a_probe_that_raises_ends_no_other() -> None:
    async def story(node: Node) -> None:
        def probe(of: str, *_: str) -> bool:
            if of == "odd":
                raise KeyError("what nobody thought of")
            return True

        node.cri.probe = probe
        asks = core.Probe(
            httpGet=core.HTTPGetAction(path="/", port=80, scheme="HTTP"), periodSeconds=1
        )
        await node.api.put(pod("odd", container("main", readinessProbe=asks)))
        await node.until(lambda: node.phase("odd") == "Running", 5)
        await node.env.clock.sleep(5)
        await node.api.put(pod("good", container("main", readinessProbe=asks)))
        await node.until(lambda: node.condition("good", "Ready") == "True", 10)
        assert node.condition("odd", "Ready") == "False"

    play(story)
