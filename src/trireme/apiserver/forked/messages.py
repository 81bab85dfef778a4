"""The messages between the server and a process that it forked, over a socket between the two.

The process asks, one question at a time, and waits for the answer; ``Done`` is its last word.
Messages are MessagePack behind four bytes of length.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec

from trireme.apiserver.hooks import Credentials
from trireme.machinery import errors
from trireme.machinery.status import Status
from trireme.store import contract as stores
from trireme.store.contract import KeyValue

HEAD: Final = struct.Struct("!I")


class Message(msgspec.Struct, tag=True, frozen=True, array_like=True):
    """One message."""


# What the process asks for.


class Create(Message, frozen=True):
    key: str
    head: bytes
    tail: bytes
    ttl: int


class Update(Message, frozen=True):
    key: str
    head: bytes
    tail: bytes
    expect: int
    ttl: int


class Delete(Message, frozen=True):
    key: str
    head: bytes
    tail: bytes
    expect: int


class Allocate(Message, frozen=True):
    """Of the objects of a kind that has something allocated, as JSON."""

    position: int
    new: bytes
    old: bytes | None
    dry_run: bool


class Undo(Message, frozen=True):
    """Give back all that was allocated and not stored."""


class CallWebhook(Message, frozen=True):
    """Ask a webhook: its configuration as JSON, and a review."""

    config: bytes
    body: bytes
    timeout: float
    credentials: Credentials


class Done(Message, frozen=True):
    """The answer to the request; its body is in the file that both have."""

    status: int
    content_type: str
    headers: dict[str, str]
    warnings: list[str]
    # For the audit event.
    annotations: dict[str, str]
    length: int


# What the server answers.


class Stored(Message, frozen=True):
    revision: int
    created: int


class Allocated(Message, frozen=True):
    new: bytes


class WebhookReply(Message, frozen=True):
    status: int
    content_type: str
    body: bytes


class Ok(Message, frozen=True):
    pass


class Failed(Message, frozen=True):
    """Why not: an error of the store, of the API, or of the network."""

    kind: str
    message: str = ""
    current: KeyValue | None = None
    expect: int = 0
    # Of an error of the API, as JSON.
    status: bytes = b""


Question = Create | Update | Delete | Allocate | Undo | CallWebhook | Done
Answer = Stored | Allocated | WebhookReply | Ok | Failed

_encode = msgspec.msgpack.Encoder().encode
question: Final = msgspec.msgpack.Decoder(Question).decode
answer: Final = msgspec.msgpack.Decoder(Answer).decode


def packed(message: Message) -> bytes:
    """A message with its length."""
    data = _encode(message)
    return HEAD.pack(len(data)) + data


def from_error(problem: Exception) -> Failed:
    """An error as a message. Other exceptions are raised again."""
    match problem:
        case stores.KeyExists():
            return Failed("exists", problem.key, problem.current)
        case stores.KeyMissing():
            return Failed("missing", problem.key)
        case stores.Conflict():
            return Failed("conflict", "", problem.current, problem.expect)
        case stores.StoreUnavailable():
            return Failed("unavailable", str(problem))
        case errors.ApiError():
            return Failed("api", status=msgspec.json.encode(problem.status()))
        case OSError():
            return Failed("network", str(problem))
    raise problem


def error(failed: Failed) -> Exception:
    """The error that a message is about."""
    current: Any = failed.current
    match failed.kind:
        case "exists":
            return stores.KeyExists(failed.message, current)
        case "missing":
            return stores.KeyMissing(failed.message)
        case "conflict":
            return stores.Conflict(current, failed.expect)
        case "unavailable":
            return stores.StoreUnavailable(failed.message)
        case "api":
            return errors.from_status(msgspec.json.decode(failed.status, type=Status))
    return OSError(failed.message)
