"""The DNS server over real sockets on loopback: both transports, size, forwarding, bad packets."""

import asyncio
import logging
import random
import socket

from dnslib import QTYPE, RCODE, RR, A, DNSQuestion, DNSRecord

from trireme.api.core.v1.service import Service, ServiceSpec
from trireme.api.discovery.v1.endpointslice_types import Endpoint, EndpointSlice
from trireme.dns.chain import Chain
from trireme.dns.forward import Forwarder, resolvers
from trireme.dns.server import listening
from trireme.dns.sockets import bind
from trireme.dns.zone import Zone
from trireme.machinery.meta import ObjectMeta

LOG = logging.getLogger("test")
LOOPBACK = (("127.0.0.1", 0),)


def zone(addresses: int = 0) -> Zone:
    zone = Zone("cluster.local")
    zone.set_namespace("default", True)
    web = Service(
        metadata=ObjectMeta(name="web", namespace="default"),
        spec=ServiceSpec(clusterIP="10.96.0.7", clusterIPs=["10.96.0.7"]),
    )
    many = Service(
        metadata=ObjectMeta(name="many", namespace="default"), spec=ServiceSpec(clusterIP="None")
    )
    slice_ = EndpointSlice(
        metadata=ObjectMeta(
            name="m", namespace="default", labels={"kubernetes.io/service-name": "many"}
        ),
        addressType="IPv4",
        endpoints=[Endpoint(addresses=[f"10.0.{i // 200}.{i % 200}"]) for i in range(addresses)],
    )
    zone.set_service(web)
    zone.set_service(many)
    zone.set_slice(slice_)
    return zone


async def by_udp(server: tuple[str, int], message: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    reply: asyncio.Future[bytes] = loop.create_future()

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _address: object) -> None:
            reply.set_result(data)

    transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=server)
    transport.sendto(message)
    try:
        async with asyncio.timeout(5):
            return await reply
    finally:
        transport.close()


async def by_tcp(server: tuple[str, int], message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    writer.write(len(message).to_bytes(2, "big") + message)
    size = int.from_bytes(await reader.readexactly(2), "big")
    data = await reader.readexactly(size)
    writer.close()
    return data


def question(name: str, type_: str = "A") -> bytes:
    packed: bytes = DNSRecord(q=DNSQuestion(name, getattr(QTYPE, type_))).pack()
    return packed


def chain(zone: Zone, upstream: list[tuple[str, int]] | None = None) -> Chain:
    return Chain(zone, Forwarder(upstream or []), random.Random(1))


async def test_answers_by_both_transports() -> None:
    async with listening(LOOPBACK, chain(zone()), LOG) as (server,):
        for ask in (by_udp, by_tcp):
            reply = DNSRecord.parse(await ask(server, question("WEB.default.svc.cluster.local.")))
            assert [str(item.rdata) for item in reply.rr] == ["10.96.0.7"]
            assert reply.header.aa == 1


async def test_questions_wait_in_held_sockets_for_the_next_server() -> None:
    held = bind("127.0.0.1", 0)
    with held[0], held[1]:
        async with listening((), chain(zone()), LOG, (held,)) as (first,):
            pass
        expected = question("web.default.svc.cluster.local.")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(first)
            client.send(expected)
            client.setblocking(False)
            async with listening((), chain(zone()), LOG, (held,)) as (second,):
                assert second == first
                async with asyncio.timeout(5):
                    reply = await asyncio.get_running_loop().sock_recv(client, 512)
                assert [str(rr.rdata) for rr in DNSRecord.parse(reply).rr] == ["10.96.0.7"]


async def test_nxdomain_carries_the_zone() -> None:
    async with listening(LOOPBACK, chain(zone()), LOG) as (server,):
        reply = DNSRecord.parse(await by_udp(server, question("no.default.svc.cluster.local")))
        assert reply.header.rcode == RCODE.NXDOMAIN
        assert reply.auth[0].rtype == QTYPE.SOA


async def test_a_long_answer_is_cut_by_udp_and_whole_by_tcp() -> None:
    async with listening(LOOPBACK, chain(zone(100)), LOG) as (server,):
        name = question("many.default.svc.cluster.local")
        assert DNSRecord.parse(await by_udp(server, name)).header.tc == 1
        assert len(DNSRecord.parse(await by_tcp(server, name)).rr) == 100


async def test_the_outside_is_forwarded() -> None:
    class Upstream:
        async def reply(self, message: bytes, *, stream: bool) -> bytes:
            query = DNSRecord.parse(message)
            reply = query.reply()
            reply.add_answer(RR(query.q.qname, QTYPE.A, rdata=A("192.0.2.1")))
            packed: bytes = reply.pack()
            return packed

    async with (
        listening(LOOPBACK, Upstream(), LOG) as (upstream,),  # type: ignore[arg-type]
        listening(LOOPBACK, chain(zone(), [upstream]), LOG) as (server,),
    ):
        for ask in (by_udp, by_tcp):
            reply = DNSRecord.parse(await ask(server, question("example.org")))
            assert str(reply.rr[0].rdata) == "192.0.2.1"


async def test_without_a_resolver_the_outside_is_refused() -> None:
    async with listening(LOOPBACK, chain(zone()), LOG) as (server,):
        reply = DNSRecord.parse(await by_udp(server, question("example.org")))
        assert reply.header.rcode == RCODE.REFUSED


async def test_bad_packets_get_an_error_and_the_server_goes_on() -> None:
    async with listening(LOOPBACK, chain(zone()), LOG) as (server,):
        broken = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff"
        assert (await by_udp(server, broken))[3] & 0xF == RCODE.FORMERR
        reply = await by_udp(server, question("web.default.svc.cluster.local"))
        assert DNSRecord.parse(reply).rr


def test_resolvers_leave_the_loopback_out() -> None:
    text = "search x\nnameserver 127.0.0.53\nnameserver 192.0.2.5\n# nameserver 1.1.1.1\n"
    assert resolvers(text) == [("192.0.2.5", 53)]
