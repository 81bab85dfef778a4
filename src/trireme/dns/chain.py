"""The parts that a question passes, in order; a part answers or hands on.

kubernetes → forward. A part affects what is below it and does not know what is above. In: a parsed
question and the transport it came by. Out: a reply message.
"""

from __future__ import annotations

import logging

from dnslib import AAAA, CNAME, NS, PTR, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSRecord

from trireme.dns import answer
from trireme.dns.answer import Answer, Record
from trireme.dns.forward import Forwarder
from trireme.dns.zone import Zone

NEGATIVE_TTL = 5
_SOA_TIMES = (1, 7200, 1800, 86400, NEGATIVE_TTL)


class Chain:
    """Answers messages."""

    def __init__(self, zone: Zone, forwarder: Forwarder, log: logging.Logger) -> None:
        self._zone = zone
        self._forwarder = forwarder
        self._log = log

    async def reply(self, message: bytes, *, stream: bool) -> bytes | None:
        """The reply to a message; None where there is nothing to reply to.

        ``stream``: it came by TCP, and so the reply may be of any size.
        """
        try:
            query = DNSRecord.parse(message)
        except Exception:
            # dnslib raises many things on malformed packets; the header alone may still be read.
            return _format_error(message)
        if query.header.qr:
            return None
        if query.header.opcode != 0 or len(query.questions) != 1:
            return _coded(query, RCODE.NOTIMP if query.header.opcode else RCODE.FORMERR)
        name = str(query.q.qname).rstrip(".").lower()
        type_ = QTYPE.get(query.q.qtype)
        type_ = type_ if isinstance(type_, str) else "OTHER"
        found = answer.answer(self._zone, name, type_)
        if found is None:
            return await self._forwarder.ask(query, message, stream=stream)
        reply = self._message(query, found)
        if found.chase:
            for record in await self._forwarder.addresses(found.chase, query.q.qtype):
                reply.add_answer(record)
        return _sized(reply, query, stream=stream)

    def _message(self, query: DNSRecord, found: Answer) -> DNSRecord:
        reply = query.reply(ra=1, aa=1)
        for record in found.records:
            reply.add_answer(_rr(record))
        for record in found.additional:
            reply.add_ar(_rr(record))
        if not found.exists:
            reply.header.rcode = RCODE.NXDOMAIN
        if not found.records:
            domain = found.zone
            soa = SOA(f"ns.dns.{domain}", f"hostmaster.{domain}", _SOA_TIMES)
            reply.add_auth(RR(domain, QTYPE.SOA, ttl=NEGATIVE_TTL, rdata=soa))
        return reply


def _rr(record: Record) -> RR:
    data = record.data
    if isinstance(data, tuple):
        rdata: object = SRV(*data)
    else:
        make = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "PTR": PTR, "NS": NS, "TXT": TXT}
        rdata = make[record.type](data)
    return RR(record.name, getattr(QTYPE, record.type), ttl=record.ttl, rdata=rdata)


def _sized(reply: DNSRecord, query: DNSRecord, *, stream: bool) -> bytes:
    """By UDP a reply is cut to what the client takes, and says so."""
    packed: bytes = reply.pack()
    room = 512
    for extra in query.ar:
        if extra.rtype == QTYPE.OPT:
            room = max(extra.rclass, 512)
    if stream or len(packed) <= room:
        return packed
    cut: bytes = reply.truncate().pack()
    return cut


def _coded(query: DNSRecord, code: int) -> bytes:
    reply = query.reply(ra=1)
    reply.header.rcode = code
    packed: bytes = reply.pack()
    return packed


def _format_error(message: bytes) -> bytes | None:
    if len(message) < 12 or message[2] & 0x80:
        return None
    return message[:2] + bytes([0x80, 0x81]) + bytes(8)
