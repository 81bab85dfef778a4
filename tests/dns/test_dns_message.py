"""Replies on the wire: whatever the question and the room, they are whole or cut cleanly."""

import random

import pytest
from dnslib import EDNS0, QTYPE, RCODE, DNSQuestion, DNSRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from trireme.api.core.v1.service import Service, ServicePort, ServiceSpec
from trireme.api.discovery.v1.endpointslice_types import Endpoint, EndpointPort, EndpointSlice
from trireme.dns.chain import Chain
from trireme.dns.forward import Forwarder
from trireme.dns.message import EDNS_ROOM, UDP_ROOM
from trireme.dns.zone import Zone
from trireme.machinery.meta import ObjectMeta

WEB = "web.shop.svc.cluster.local"


def chain(v4: int, v6: int = 0, hostname: str = "pod") -> Chain:
    """A headless Service of as many endpoints; those of both families share their names."""
    zone = Zone("cluster.local")
    zone.set_namespace("shop", True)
    meta = ObjectMeta(name="web", namespace="shop")
    ports = [ServicePort(name="http", port=80)]
    zone.set_service(Service(metadata=meta, spec=ServiceSpec(clusterIP="None", ports=ports)))
    for family, count, address in (
        ("IPv4", v4, "10.244.{}.{}"),
        ("IPv6", v6, "fd00::{:x}:{:x}"),
    ):
        endpoints = [
            Endpoint(addresses=[address.format(i // 200, i % 200 + 1)], hostname=f"{hostname}-{i}")
            for i in range(count)
        ]
        labels = {"kubernetes.io/service-name": "web"}
        zone.set_slice(
            EndpointSlice(
                metadata=ObjectMeta(name=family, namespace="shop", labels=labels),
                addressType=family,
                endpoints=endpoints,
                ports=[EndpointPort(name="http", protocol="TCP", port=80)],
            )
        )
    external = ServiceSpec(type="ExternalName", externalName=WEB)
    zone.set_service(
        Service(metadata=ObjectMeta(name="alias", namespace="shop"), spec=external),
    )
    return Chain(zone, Forwarder([]), random.Random(1))


def query(name: str, type_: str, edns: int | None = None, version: int = 0) -> bytes:
    record = DNSRecord(q=DNSQuestion(name, getattr(QTYPE, type_)))
    if edns is not None:
        record.add_ar(EDNS0(udp_len=edns, version=version))
    packed: bytes = record.pack()
    return packed


async def ask(chain: Chain, packet: bytes, *, stream: bool = False) -> DNSRecord:
    reply = await chain.reply(packet, stream=stream)
    assert reply is not None
    return DNSRecord.parse(reply)


def lines(reply: DNSRecord) -> set[str]:
    return {str(record) for record in reply.rr}


@settings(max_examples=60, deadline=None)
@given(
    v4=st.integers(0, 150),
    v6=st.integers(0, 150),
    hostname=st.sampled_from(["pod", "a-rather-long-name-of-a-pod-in-a-stateful-set"]),
    service=st.sampled_from(["web", "alias", "_http._tcp.web"]),
    type_=st.sampled_from(["A", "AAAA", "SRV"]),
    edns=st.sampled_from([None, 0, 512, 800, 1232, 4096]),
)
async def test_a_reply_is_whole_or_holds_as_many_whole_records_as_fit(
    v4: int, v6: int, hostname: str, service: str, type_: str, edns: int | None
) -> None:
    served = chain(v4, v6, hostname)
    packet = query(f"{service}.shop.svc.cluster.local", type_, edns)
    whole = await ask(served, packet, stream=True)
    packed = await served.reply(packet, stream=False)
    assert packed is not None
    cut = DNSRecord.parse(packed)
    room = UDP_ROOM if edns is None else min(max(edns, UDP_ROOM), EDNS_ROOM)
    assert len(packed) <= room
    assert str(cut.q) == str(whole.q)
    assert cut.header.rcode == whole.header.rcode
    assert whole.header.tc == 0
    assert lines(cut) <= lines(whole)
    assert (cut.header.tc == 1) == (len(cut.rr) < len(whole.rr))
    if cut.header.tc:
        largest = max(len(str(record.rname)) + 40 + len(hostname) for record in whole.rr)
        assert room - len(packed) <= largest + len(WEB)
        assert not cut.auth
    # An OPT goes with the reply to a query that has one, and only then.
    assert [r.rtype for r in cut.ar].count(QTYPE.OPT) == (edns is not None)


@pytest.mark.parametrize(("edns", "count"), [(None, 29), (1232, 40)])
async def test_forty_pods_by_udp(edns: int | None, count: int) -> None:
    reply = await ask(chain(40), query(WEB, "A", edns))
    assert (len(reply.rr), reply.header.tc) == (count, int(count < 40))


async def test_a_reply_by_tcp_is_right_beyond_the_reach_of_a_pointer() -> None:
    """Compressed names point back 16 KiB at most; this message has 60."""
    reply = await ask(chain(400, 400, "replica"), query(WEB, "SRV"), stream=True)
    assert len(reply.rr) == 400
    addresses = [record for record in reply.ar if record.rtype in (QTYPE.A, QTYPE.AAAA)]
    assert len(addresses) > 700
    targets = {str(record.rdata.target) for record in reply.rr}
    assert {str(record.rname) for record in addresses} <= targets


async def test_what_does_not_even_fit_by_tcp_is_cut() -> None:
    reply = await chain(5000).reply(query(WEB, "A"), stream=True)
    assert reply is not None and len(reply) <= 65535
    assert DNSRecord.parse(reply).header.tc == 1


async def test_addresses_that_are_missing_beside_services_do_not_cut_the_reply() -> None:
    reply = await ask(chain(8), query(WEB, "SRV"))
    assert (len(reply.rr), reply.header.tc) == (8, 0)
    assert len(reply.ar) < 8


async def test_each_reply_begins_with_another_address() -> None:
    served = chain(10)
    firsts = {str((await ask(served, query(WEB, "A"))).rr[0].rdata) for _ in range(50)}
    assert len(firsts) > 5


async def test_a_cname_stays_in_front_of_its_addresses() -> None:
    reply = await ask(chain(3), query("alias.shop.svc.cluster.local", "A"))
    assert [QTYPE[record.rtype] for record in reply.rr] == ["CNAME", "A", "A", "A"]


async def test_a_version_of_edns_that_is_unknown_is_named() -> None:
    reply = await ask(chain(1), query(WEB, "A", 1232, version=1))
    assert (reply.header.rcode, reply.ar[0].edns_rcode) == (0, 1)
    assert not reply.rr


async def test_two_options_records_are_an_error() -> None:
    record = DNSRecord(q=DNSQuestion(WEB, QTYPE.A))
    record.add_ar(EDNS0(udp_len=512), EDNS0(udp_len=512))
    assert (await ask(chain(1), record.pack())).header.rcode == RCODE.FORMERR
