"""One address for several API servers: TCP connections are passed on to one that accepts them.

In: the addresses to listen on, and those of the servers. Out: bytes, unchanged: TLS is between
client and server. Each connection goes to the next server in turn; one that refuses is passed
over. A server that dies ends its connections, and clients connect anew. Run by ``compose``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence

from trireme.kit.env import Env

Address = tuple[str, int]
# Seconds to connect to a server on this host.
CONNECT = 2.0
_PIECE = 256 * 1024


async def run(listen: Sequence[Address], servers: Sequence[Address], env: Env) -> None:
    """Pass connections on until cancelled."""
    turns = itertools.count()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(turns)
        order = [servers[(first + step) % len(servers)] for step in range(len(servers))]
        await _pass_on(reader, writer, order)

    async with contextlib.AsyncExitStack() as stack:
        for host, port in listen:
            await stack.enter_async_context(
                await asyncio.start_server(accept, host, port, limit=_PIECE)
            )
        env.started()
        await asyncio.get_running_loop().create_future()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, order: Sequence[Address]
) -> None:
    try:
        for host, port in order:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT):
                    back = await asyncio.open_connection(host, port, limit=_PIECE)
                break
        else:
            return
        try:
            ways = [
                asyncio.ensure_future(_copy(reader, back[1])),
                asyncio.ensure_future(_copy(back[0], writer)),
            ]
            try:
                # One direction may end before the other; an error ends both.
                await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            back[1].close()
    finally:
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
