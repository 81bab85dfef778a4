"""Who signs service-account tokens where the API server has no key for it: made by whoever composes
the server, as gRPC is large and only for this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from trireme.kit import jws


class TokenSigner(Protocol):
    """A signer elsewhere: ``start`` before use, ``run`` beside the server, ``close`` when done.

    ``unpublished``: the keys that others may not know. ``max_expiration``: seconds that a token
    holds at most.
    """

    keys: dict[str, jws.Key]
    unpublished: frozenset[str]
    max_expiration: int

    async def start(self) -> None: ...
    async def run(self) -> None: ...

    async def look_for(self, key_id: str) -> bool:
        """Fetch the keys again; whether this one is among them then."""

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """The signed token."""

    async def close(self) -> None: ...
