"""The forwarder: queries for names outside of the cluster go to the node's resolvers.

In: a query. Out: the resolver's reply unchanged, SERVFAIL when none answers, REFUSED when there is
none. Resolvers are asked in turn; one that did not answer is asked last the next time.
"""

from __future__ import annotations

import asyncio

from dnslib import QTYPE, RCODE, RR, DNSQuestion, DNSRecord

from trireme.dns import message

TIMEOUT = 2.0
TRIES = 3


class Forwarder:
    """Asks upstream resolvers, given as (address, port)."""

    def __init__(self, resolvers: list[tuple[str, int]]) -> None:
        self._resolvers = list(resolvers)

    async def ask(self, query: DNSRecord, packet: bytes, *, stream: bool) -> bytes:
        """The reply to a query."""
        if not self._resolvers:
            return message.error(query, RCODE.REFUSED)
        for resolver in self._resolvers[:TRIES]:
            try:
                async with asyncio.timeout(TIMEOUT):
                    if stream:
                        return await _by_stream(packet, resolver)
                    return await _by_datagram(packet, resolver)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self._resolvers.remove(resolver)
                self._resolvers.append(resolver)
        return message.error(query, RCODE.SERVFAIL)

    async def records(self, name: str, qtype: int) -> list[RR]:
        """The records of a name outside, with the CNAMEs to them; none when it fails."""
        query = DNSRecord(q=DNSQuestion(name, qtype))
        packet = query.pack()
        try:
            reply = DNSRecord.parse(await self.ask(query, packet, stream=False))
            if reply.header.tc:
                reply = DNSRecord.parse(await self.ask(query, packet, stream=True))
        except Exception:
            # dnslib raises many things on malformed packets.
            return []
        return [record for record in reply.rr if record.rtype in (qtype, QTYPE.CNAME)]


def resolvers(resolv_conf: str) -> list[tuple[str, int]]:
    """The name servers of a resolv.conf, without the node's own loopback ones."""
    found = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and not _is_loopback(words[1]):
            found.append((words[1], 53))
    return found


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


async def _by_datagram(packet: bytes, resolver: tuple[str, int]) -> bytes:
    loop = asyncio.get_running_loop()
    reply: asyncio.Future[bytes] = loop.create_future()

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _address: object) -> None:
            if data[:2] == packet[:2] and not reply.done():
                reply.set_result(data)

        def error_received(self, problem: Exception) -> None:
            if not reply.done():
                reply.set_exception(problem)

    transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=resolver)
    try:
        transport.sendto(packet)
        return await reply
    finally:
        transport.close()


async def _by_stream(packet: bytes, resolver: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*resolver)
    try:
        writer.write(len(packet).to_bytes(2, "big") + packet)
        await writer.drain()
        size = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(size)
    finally:
        writer.close()
