"""The plugin chain of a question: kubernetes → loadbalance → forward.

In: a packed message and its transport. Out: a packed reply.
"""

from __future__ import annotations

import random

import msgspec
from dnslib import QTYPE, RCODE, DNSRecord

from trireme.dns import answer, message
from trireme.dns.answer import Answer
from trireme.dns.forward import Forwarder
from trireme.dns.zone import Zone


class Chain:
    """Answers messages."""

    def __init__(self, zone: Zone, forwarder: Forwarder, rng: random.Random) -> None:
        self._zone = zone
        self._forwarder = forwarder
        self._rng = rng

    async def reply(self, packet: bytes, *, stream: bool) -> bytes | None:
        """The reply to a message; None for what cannot be replied to.

        ``stream``: it came by TCP: the reply may be of any size.
        """
        try:
            query = DNSRecord.parse(packet)
        except Exception:
            # dnslib raises many things on malformed packets; the header alone may still be read.
            return message.format_error(packet)
        if query.header.qr:
            return None
        if query.header.opcode != 0 or len(query.questions) != 1:
            return message.error(query, RCODE.NOTIMP if query.header.opcode else RCODE.FORMERR)
        if code := message.edns_error(query):
            return message.error(query, code)
        name = str(query.q.qname).rstrip(".").lower()
        type_ = QTYPE.get(query.q.qtype)
        type_ = type_ if isinstance(type_, str) else "OTHER"
        found = answer.answer(self._zone, name, type_)
        if found is None:
            return await self._forwarder.ask(query, packet, stream=stream)
        more = await self._forwarder.records(found.target, query.q.qtype) if found.target else ()
        return message.pack(query, self._balanced(found), more, stream=stream)

    def _balanced(self, found: Answer) -> Answer:
        """The addresses in random order, as clients use the first."""
        if len(found.records) < 2 or any(r.type not in ("A", "AAAA") for r in found.records):
            return found
        records = self._rng.sample(found.records, len(found.records))
        return msgspec.structs.replace(found, records=tuple(records))
