"""The protobuf table of the built-in kinds and its encoder: made at the first use, then shared."""

from __future__ import annotations

from functools import cache

from trireme.machinery.codec.protobuf import encode, table
from trireme.machinery.codec.protobuf.table import Messages


def messages() -> Messages:
    """The messages of the built-in kinds."""
    return table.built_in()


@cache
def encoder() -> encode.Encoder:
    """Their encoder; each message is compiled when it is first needed."""
    return encode.Encoder(table.built_in())
