"""The sockets of the DNS server: UDP and TCP on each address, answered by the chain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

from trireme.dns.chain import Chain
from trireme.dns.sockets import Held

# Seconds after which an idle TCP connection is closed.
IDLE = 10.0
# UDP queries in flight; further ones are dropped.
MOST_WAITING = 1000


@asynccontextmanager
async def listening(
    addresses: tuple[tuple[str, int], ...],
    chain: Chain,
    log: logging.Logger,
    held: Held = (),
) -> AsyncIterator[list[tuple[str, int]]]:
    """Listen on every address by UDP and TCP; yields what is bound (port 0 resolved).

    ``held`` are sockets of ``sockets.bind`` that the parent process keeps open: queries that arrive
    while no server runs wait in them for the next one.
    """
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        bound = []
        for ours, listener in held:
            ours, listener = ours.dup(), listener.dup()
            ours.setblocking(False)
            datagrams, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(chain, log), sock=ours
            )
            stack.callback(datagrams.close)
            streams = await asyncio.start_server(
                lambda reader, writer: _stream(reader, writer, chain, log), sock=listener
            )
            stack.callback(streams.close)
            bound.append(datagrams.get_extra_info("sockname")[:2])
        for host, port in addresses:
            # With port 0 TCP picks it: its ports may be in use by connections, too.
            streams = await asyncio.start_server(
                lambda reader, writer: _stream(reader, writer, chain, log), host, port
            )
            stack.callback(streams.close)
            actual = streams.sockets[0].getsockname()[:2]
            datagrams, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(chain, log), local_addr=actual
            )
            stack.callback(datagrams.close)
            bound.append(actual)
        yield bound


class _Datagrams(asyncio.DatagramProtocol):
    """Each datagram is a query; queries are answered concurrently."""

    def __init__(self, chain: Chain, log: logging.Logger) -> None:
        self._chain = chain
        self._log = log
        self._waiting: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # By cast: uvloop's is no subclass.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, _problem: Exception | None) -> None:
        for task in self._waiting:
            task.cancel()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            return
        task = asyncio.ensure_future(self._reply(data, address))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _reply(self, data: bytes, address: tuple[str, int]) -> None:
        try:
            reply = await self._chain.reply(data, stream=False)
        except Exception:
            self._log.exception("a question from %s failed", address)
            return
        if reply is not None and not self._transport.is_closing():
            self._transport.sendto(reply, address)


async def _stream(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    chain: Chain,
    log: logging.Logger,
) -> None:
    try:
        while True:
            async with asyncio.timeout(IDLE):
                size = int.from_bytes(await reader.readexactly(2), "big")
                message = await reader.readexactly(size)
            reply = await chain.reply(message, stream=True)
            if reply is None:
                return
            writer.write(len(reply).to_bytes(2, "big") + reply)
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        # The client closed the connection or is idle.
        return
    except Exception:
        log.exception("a connection failed")
    finally:
        writer.close()
