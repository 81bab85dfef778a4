"""PEM as Go reads it: blocks anywhere in a text, and what lies between them is passed over.

The time grows with the text's length and no faster, whatever it holds. Called by: rules of this
group, and those of Secrets. Upstream: Go's ``encoding/pem``.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Final, NamedTuple

_BEGIN: Final = b"-----BEGIN "
_END: Final = b"\n-----END "
_DASHES: Final = b"-----"


class Block(NamedTuple):
    """``type`` is what stands after BEGIN."""

    type: str
    headers: bool
    content: bytes


def blocks(text: bytes) -> Iterator[Block]:
    """The blocks of a text; one that is damaged is no block."""
    position = 0
    while True:
        end = text.find(_END, position)
        if end < 0:
            return
        begin = text.rfind(_BEGIN, position, end)
        alone = begin == position or text[begin - 1 : begin] == b"\n"
        position = end + len(_END)
        if begin < 0 or not alone:
            continue
        line, start = _line(text, begin + len(_BEGIN))
        kind, first = line.removesuffix(_DASHES), start
        while start < len(text):
            header, after = _line(text, start)
            if b":" not in header:
                break
            start = after
        if start > position:
            # The headers went on beyond the last line, and may do so again for every other one.
            return
        closing, after = _line(text, position)
        if not line.endswith(_DASHES) or closing != kind + _DASHES:
            continue
        if start > first and start > end + 1:
            continue
        try:
            content = binascii.a2b_base64(
                text[start:end].translate(None, b" \t\r\n"), strict_mode=True
            )
        except binascii.Error:
            continue
        position = after
        yield Block(kind.decode("utf-8", "replace"), start > first, content)


def _line(text: bytes, start: int) -> tuple[bytes, int]:
    """The line at ``start`` without the blanks at its end, and where the next one begins."""
    end = text.find(b"\n", start)
    if end < 0:
        return text[start:].rstrip(b" \t"), len(text)
    return text[start:end].removesuffix(b"\r").rstrip(b" \t"), end + 1
