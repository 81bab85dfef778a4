"""Connections to one address reach a server that accepts them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from trireme.cluster import front
from trireme.kit import env as envs
from trireme.kit.env import Env

LOCAL = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything back once the client has said all, with the server's name before it."""
    name = b"%d:" % writer.get_extra_info("sockname")[1]
    writer.write(name + await reader.read())
    writer.close()


@asynccontextmanager
async def running(*servers: int) -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
    port = free_port()

    async def main(env: Env) -> None:
        await front.run([(LOCAL, port)], [(LOCAL, server) for server in servers], env)

    async def ask(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(LOCAL, port)
        writer.write(data)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    async with asyncio.TaskGroup() as group:
        task = await envs.start(group, Env(), main, "front")
        yield ask
        task.cancel()


async def test_servers_take_turns_and_a_dead_one_is_passed_over():
    ports = [free_port() for _ in range(3)]
    servers = [await asyncio.start_server(echo, LOCAL, port) for port in ports[:2]]
    async with running(*ports) as ask:
        answers = [await ask(b"x" * 100_000) for _ in range(6)]
        assert {answer.partition(b":")[0] for answer in answers} == {b"%d" % p for p in ports[:2]}
        assert all(answer.endswith(b":" + b"x" * 100_000) for answer in answers)
        servers[0].close()
        assert {(await ask(b"y")).partition(b":")[0] for _ in range(4)} == {b"%d" % ports[1]}
        servers[1].close()
        assert await ask(b"") == b""


async def test_a_server_that_breaks_off_breaks_the_connection():
    port = free_port()

    async def abort(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"begun")
        await writer.drain()
        writer.transport.abort()

    async with (
        await asyncio.start_server(abort, LOCAL, port),
        running(port) as ask,
        asyncio.timeout(10),
    ):
        try:
            assert await ask(b"") in (b"begun", b"")
        except ConnectionError:
            pass


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
async def test_what_is_passed_on_is_unchanged(size: int):
    port = free_port()
    data = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    async with await asyncio.start_server(echo, LOCAL, port), running(port) as ask:
        assert (await ask(data)).partition(b":")[2] == data
