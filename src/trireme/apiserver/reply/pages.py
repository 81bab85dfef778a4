"""A page that is passed on, unpacked and with its links led through the proxy. Pure.

In: a whole body as its server sent it, how it is coded. Out: the new page, or None where it stays
as it is: too large, or not coded as it says. Heavy for a page of many tags: called in a thread.
"""

from __future__ import annotations

import zlib

from trireme.apiserver.reply import links

# Bytes of a page, also once it is unpacked.
LIMIT = 1024 * 1024
# How zlib is to read a content coding.
CODINGS = {"": 0, "gzip": zlib.MAX_WBITS | 16, "deflate": -zlib.MAX_WBITS}


def rewrite(body: bytes, coding: str, prefix: str, hosts: links.Hosts) -> bytes | None:
    """The page with links below ``prefix``."""
    page = body
    if coding and body:
        unpacker = zlib.decompressobj(CODINGS[coding])
        try:
            page = unpacker.decompress(body, LIMIT + 1)
        except zlib.error:
            return None
        if not unpacker.eof:
            return None
    return links.rewrite_page(page, prefix, hosts) if len(page) <= LIMIT else None
