"""The three shapes of an answer. The transport (``serve``, or a call in process) carries them out.

- ``Reply``: status, headers and a body that is complete.
- ``StreamReply``: the same head and an async iterator of chunks (watch, follow a log).
- ``UpgradeReply``: the connection leaves HTTP; ``run`` gets what the transport offers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from trireme.machinery import errors

JSON = "application/json"


@dataclass(slots=True)
class Reply:
    """A complete answer. ``body`` may be a list of pieces, joined only when written."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class StreamReply:
    """A head and chunks; the iterator is closed when the client goes away."""

    chunks: AsyncIterator[bytes]
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class UpgradeReply:
    """``run(connection)`` takes over the connection and returns when it is over."""

    run: Callable[[Any], Awaitable[None]]
    headers: dict[str, str] = field(default_factory=dict)


AnyReply = Reply | StreamReply | UpgradeReply


def encoded(value: Any, status: int = 200) -> Reply:
    """A struct or plain value, encoded as JSON."""
    return Reply(status, msgspec.json.encode(value))


def error(fault: errors.ApiError) -> Reply:
    """The Status that answers a failed request, with Retry-After where the error names a time."""
    reply = encoded(fault.status(), fault.code)
    if fault.details is not None and fault.details.retryAfterSeconds:
        reply.headers["Retry-After"] = str(fault.details.retryAfterSeconds)
    return reply
