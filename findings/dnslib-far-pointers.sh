#!/usr/bin/env bash
# dnslib 0.9.26, DNSBuffer.encode_name: a compressed name is a pointer of 14 bits (RFC 1035, 4.1.4),
# so what stands beyond byte 16,383 of a message cannot be pointed to.
# Expected: names that first stand there are written out again, and the message can be read back.
# Seen: their offsets are cut to 14 bits, and the pointers lead to other bytes of the message.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dnslib==0.9.26
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from dnslib import A, AAAA, DNSHeader, DNSQuestion, DNSRecord, QTYPE, RR

names = [f"host-{number}.example.org." for number in range(800)]
message = DNSRecord(DNSHeader(qr=1), q=DNSQuestion("example.org", QTYPE.A))
for name in names:
    message.add_answer(RR(name, QTYPE.A, rdata=A("192.0.2.1")))
    message.add_answer(RR(name, QTYPE.AAAA, rdata=AAAA("2001:db8::1")))
packed = message.pack()
expected = [name for name in names for _ in range(2)]
try:
    seen = [str(record.rname) for record in DNSRecord.parse(packed).rr]
except Exception as error:
    print(f"{len(packed)} bytes were packed and cannot be parsed: {error!r}")
    sys.exit(0)
wrong = sum(a != b for a, b in zip(expected, seen))
print(f"of {len(expected)} names in {len(packed)} bytes, {wrong} came back as others")
sys.exit(0 if wrong else "this has changed: all names came back")
PYTHON
