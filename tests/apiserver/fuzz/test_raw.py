"""Damaged requests over a socket: bytes wherever HTTP has its own. An answer below 500, or none.

``TRIREME_FUZZ_RAW`` is how many; the site's fixture looks for tracebacks and tasks that stay.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from random import Random

from tests.apiserver.fuzz import wire
from tests.apiserver.wire import MAPS, Site, config_map, request, site

__all__ = ["site"]

COUNT = int(os.environ.get("TRIREME_FUZZ_RAW", "300"))
AT_ONCE = 50
# A body that never came: upstream's answer too.
FAIR = (504,)


async def test_damaged_requests(site: Site) -> None:
    rng = Random(20_300_101)
    good = [
        request("GET", MAPS),
        request("GET", "/api/v1/pods?limit=5"),
        request("GET", f"{MAPS}?watch=1&timeoutSeconds=1"),
        request("POST", MAPS, config_map("a")),
        request("PUT", f"{MAPS}/a", config_map("a")),
        request("PATCH", f"{MAPS}/a", b'{"data":{"a":"b"}}', media="application/merge-patch+json"),
        request("DELETE", f"{MAPS}/a"),
        request("POST", MAPS, Transfer_Encoding="chunked", Content_Type="application/json")
        + b"10\r\n" + b" " * 16 + b"\r\n0\r\n\r\n",
        request("GET", "/api/v1/namespaces/default/pods/a/exec?command=a", Upgrade="SPDY/3.1",
                Connection="Upgrade"),
        request("GET", "/api/v1/namespaces/default/pods/a/exec?command=a", Upgrade="websocket",
                Connection="Upgrade", Sec_WebSocket_Key="x", Sec_WebSocket_Version="13"),
    ]  # fmt: skip
    found: Counter[str] = Counter()
    sent = [wire.damaged(rng, rng.choice(good)) for _ in range(COUNT)]
    for start in range(0, COUNT, AT_ONCE):
        batch = sent[start : start + AT_ONCE]
        found.update(await asyncio.gather(*(_outcome(site, data) for data in batch)))
    bad = {line: count for line, count in found.items() if line.startswith("5")}
    assert set(bad) <= {str(code) for code in FAIR}, bad
    assert found["400"] > COUNT // 20 and found["200"] + found["404"] > COUNT // 20, found


async def _outcome(site: Site, data: bytes) -> str:
    """The code of the first answer, or what came instead."""
    made = await site.wire()
    made.send(data)
    try:
        async with asyncio.timeout(10):
            line = await made.reader.readline()
    except ConnectionError:
        line = b""
    made.close()
    parts = line.split()
    if not parts:
        return "closed"
    assert parts[0] in (b"HTTP/1.1", b"HTTP/1.0"), (line, data)
    return parts[1].decode()
