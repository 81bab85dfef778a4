"""Watch lines come out whole, however the network cuts them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from trireme.client import resource_interface


async def _chunks(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def _collect(parts: list[bytes]) -> list[bytes]:
    return [line async for lines in resource_interface._lines(_chunks(parts)) for line in lines]


@given(
    st.lists(st.binary(min_size=1, max_size=8).map(lambda b: b.replace(b"\n", b"x")), max_size=6),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_cuts_do_not_matter(lines: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    at = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    parts = [whole[a:b] for a, b in itertools.pairwise(at)]
    assert asyncio.run(_collect(parts)) == lines


def test_half_a_line_is_dropped() -> None:
    assert asyncio.run(_collect([b'{"a"', b":1}\n{"])) == [b'{"a":1}']
