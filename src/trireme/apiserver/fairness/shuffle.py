"""Shuffle sharding: the few queues of many that a flow may use. Pure.

In: what identifies a flow. Out: the indexes of its queues, always the same. Two flows seldom share
all of them. Called by ``levels``. Upstream: apiserver ``util/shufflesharding``, and the hash of
``util/flowcontrol``.
"""

from __future__ import annotations

import hashlib


def flow_hash(schema: str, distinguisher: str) -> int:
    """64 bits for a flow."""
    digest = hashlib.sha256(f"{schema}\x00{distinguisher}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little")


def hand(value: int, queues: int, size: int) -> tuple[int, ...]:
    """``size`` different indexes below ``queues``, dealt by ``value``."""
    remainders: list[int] = []
    dealt: list[int] = []
    for position in range(size):
        value, rest = divmod(value, queues - position)
        remainders.append(rest)
    for position, card in enumerate(remainders):
        for earlier in reversed(remainders[:position]):
            if card >= earlier:
                card += 1
        dealt.append(card)
    return tuple(dealt)
