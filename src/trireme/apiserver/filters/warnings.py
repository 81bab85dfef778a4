"""Warnings for the client, as ``Warning`` headers (RFC 7234; KEP-1693).

In: what the request met on its way. Out: the values of the headers, one for each distinct text.
Upstream: apiserver ``endpoints/filters/warning.go``, apimachinery ``util/net`` NewWarningHeader.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from trireme.apiserver.reply.reply import Reply, StreamReply

# The characters of all warnings of one reply. Beyond them each is cut to the second number.
TOTAL_LIMIT = 4096
EACH_LIMIT = 256


def attach(warnings: Iterable[str], answer: Reply | StreamReply) -> None:
    """Give the reply its header for each warning."""
    answer.warnings = [f'299 - "{_quoted(text)}"' for text in fitting(warnings)]


def fitting(warnings: Iterable[str]) -> list[str]:
    """The distinct warnings that a header can carry, cut where all of them are too long."""
    texts = [text for text in dict.fromkeys(warnings) if text and not _is_unfit(text)]
    if sum(map(len, texts)) <= TOTAL_LIMIT:
        return texts
    kept: list[str] = []
    whole = cut = 0
    for text in texts:
        # All up to the first one that did not fit are kept, however long they are together.
        if whole > TOTAL_LIMIT and cut >= TOTAL_LIMIT:
            break
        kept.append(text[:EACH_LIMIT])
        whole += len(text)
        cut += len(kept[-1])
    return kept


def _is_unfit(text: str) -> bool:
    """Whether it has control characters, or half of a surrogate pair."""
    if text.isprintable():
        return False
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
