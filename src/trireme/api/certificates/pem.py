"""PEM as Go reads it: blocks anywhere in a text, and what lies between them is passed over.

Called by: rules of this group. Upstream: Go's ``encoding/pem``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_BLOCK: Final = re.compile(
    rb"(?:^|\n)-----BEGIN ([^\n]*?)-----[ \t\r]*\n(.*?)(?:^|\n)?-----END \1-----[ \t\r]*(?=\n|\Z)",
    re.DOTALL,
)


class Block(NamedTuple):
    """``type`` is what stands after BEGIN."""

    type: str
    headers: bool
    content: bytes


def blocks(text: bytes) -> Iterator[Block]:
    """The blocks of a text; one that is damaged is no block."""
    position = 0
    while True:
        found = _BLOCK.search(text, position)
        if found is None:
            return
        position = found.end()
        lines = found[2].splitlines()
        count = 0
        while count < len(lines) and b":" in lines[count]:
            count += 1
        try:
            content = base64.b64decode(b"".join(b"".join(lines[count:]).split()), validate=True)
        except (ValueError, binascii.Error):
            continue
        yield Block(found[1].decode("utf-8", "replace"), count > 0, content)
