"""Replies on the wire: packs an ``Answer`` within the client's size limit. Pure.

In: the parsed query, its answer, whether it came by TCP. Out: a packed message. A reply that does
not fit keeps the question and as many whole records as fit, and has TC set: glibc asks again by TCP
and drops a reply without its question; musl before 1.2.4 never asks by TCP and uses the truncated
reply. Rules: RFC 1035 (4.1, 4.2), RFC 2181 (9), RFC 2308 (negative answers), RFC 6891 (EDNS).
"""

from __future__ import annotations

from collections.abc import Iterable

from dnslib import AAAA, CNAME, EDNS0, NS, PTR, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSRecord
from dnslib.label import DNSBuffer

from trireme.dns.answer import Answer, Record

NEGATIVE_TTL = 5
_SOA_TIMES = (1, 7200, 1800, 86400, NEGATIVE_TTL)
# The size that every client accepts by UDP, the maximum that is sent by UDP (without fragmentation,
# as in CoreDNS's bufsize), and the maximum by TCP, whose messages have a length of 16 bits.
UDP_ROOM = 512
EDNS_ROOM = 1232
TCP_ROOM = 65535
# A compressed name is a pointer of 14 bits.
_FARTHEST_POINTER = 0x3FFF
_OPT_SIZE = 11
_BADVERS = 16
_RDATA = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "PTR": PTR, "NS": NS, "TXT": TXT}


def pack(query: DNSRecord, found: Answer, more: Iterable[RR] = (), *, stream: bool) -> bytes:
    """The reply to a query. ``more`` are a resolver's answers for what ``target`` names."""
    reply = query.reply(ra=1, aa=1)
    if not found.exists:
        reply.header.rcode = RCODE.NXDOMAIN
    type_ = QTYPE.get(query.q.qtype)
    authority = [_soa(found.zone)] if found.is_negative(str(type_)) else []
    answers = [*map(_rr, found.records), *more]
    return _pack(query, reply, (answers, authority, [*map(_rr, found.additional)]), stream)


def error(query: DNSRecord, code: int) -> bytes:
    """A reply without records."""
    reply = query.reply(ra=1, aa=0)
    reply.header.rcode = code & 0xF
    return _pack(query, reply, ([], [], []), False, code >> 4)


def edns_error(query: DNSRecord) -> int:
    """The code for a query whose EDNS is not understood, else 0 (RFC 6891, 6.1)."""
    offered = [record for record in query.ar if record.rtype == QTYPE.OPT]
    if len(offered) > 1:
        return int(RCODE.FORMERR)
    return _BADVERS if offered and offered[0].edns_ver else 0


def format_error(message: bytes) -> bytes | None:
    """FORMERR for what cannot be parsed; None where it is too short or itself a reply."""
    if len(message) < 12 or message[2] & 0x80:
        return None
    return message[:2] + bytes([0x80, 0x81]) + bytes(8)


def _pack(
    query: DNSRecord,
    reply: DNSRecord,
    sections: tuple[list[RR], list[RR], list[RR]],
    stream: bool,
    extended_code: int = 0,
) -> bytes:
    room, opt = TCP_ROOM if stream else UDP_ROOM, None
    if offered := [record for record in query.ar if record.rtype == QTYPE.OPT]:
        opt = EDNS0(udp_len=EDNS_ROOM, ext_rcode=extended_code)
        room = max(room, min(offered[0].rclass, EDNS_ROOM)) - _OPT_SIZE
    buffer = DNSBuffer()
    buffer.names = _Pointers()
    reply.header.pack(buffer)
    for question in reply.questions:
        question.pack(buffer)
    counts = [0, 0, 0]
    for section, records in enumerate(sections):
        counts[section] = _fill(buffer, records, room)
        if counts[section] < len(records):
            # A reply without its additional records is not truncated (RFC 2181, 9).
            reply.header.tc = int(section < 2)
            break
    if opt is not None:
        opt.pack(buffer)
        counts[2] += 1
    header = reply.header
    header.q, header.a, header.auth, header.ar = len(reply.questions), *counts
    start = DNSBuffer()
    header.pack(start)
    return bytes(start.data + buffer.data[len(start.data) :])


def _fill(buffer: DNSBuffer, records: list[RR], room: int) -> int:
    """Append whole records while there is room; returns how many."""
    for count, record in enumerate(records):
        size = buffer.offset
        record.pack(buffer)
        if buffer.offset > room:
            del buffer.data[size:]
            buffer.offset = size
            return count
    return len(records)


class _Pointers(dict[tuple[bytes, ...], int]):
    """Offsets of names in a message, but for those that do not fit into a pointer: dnslib would cut
    them to 14 bits, which makes wrong pointers."""

    def __setitem__(self, name: tuple[bytes, ...], offset: int) -> None:
        if offset <= _FARTHEST_POINTER:
            super().__setitem__(name, offset)


def _soa(zone: str) -> RR:
    soa = SOA(f"ns.dns.{zone}", f"hostmaster.{zone}", _SOA_TIMES)
    return RR(zone, QTYPE.SOA, ttl=NEGATIVE_TTL, rdata=soa)


def _rr(record: Record) -> RR:
    data = record.data
    rdata = SRV(*data) if isinstance(data, tuple) else _RDATA[record.type](data)
    return RR(record.name, getattr(QTYPE, record.type), ttl=record.ttl, rdata=rdata)
