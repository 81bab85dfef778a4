"""Answers of an API server as typed objects, and its failures as ``ApiError``.

In: bodies. Out: structs, lists of structs, errors. Called by ``resource_interface`` and ``client``.
A body with fields that this version does not know (a newer server) takes a slower path that drops
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import GenericAlias
from typing import Any, Generic, TypeVar

import msgspec

from trireme.client.transport import Response
from trireme.machinery import errors
from trireme.machinery.meta import ListMeta
from trireme.machinery.schema import decode as lenient
from trireme.machinery.status import Status

T = TypeVar("T")


class Unreadable(ValueError):
    """The server's answer is not what its path promises."""


class _RawList(msgspec.Struct):
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    items: list[msgspec.Raw] | None = None


_raw_list = msgspec.json.Decoder(_RawList)
_CHANGES = frozenset(("ADDED", "MODIFIED", "DELETED"))


class Decoder(Generic[T]):
    """Decodes one type: alone, and in lists. ``dict`` gives plain values."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._one = msgspec.json.Decoder(kind)

    @cached_property
    def _many(self) -> msgspec.json.Decoder[Any]:
        """Made at the first list: most subresources are never listed."""
        listed = msgspec.defstruct(
            f"{self._kind.__name__}List",
            [
                ("metadata", ListMeta, msgspec.field(default_factory=ListMeta)),
                ("items", GenericAlias(list, (self._kind,)) | None, None),
            ],
        )
        return msgspec.json.Decoder(listed)

    @cached_property
    def _watched(self) -> msgspec.json.Decoder[Any]:
        """Made at the first watch."""
        frame = msgspec.defstruct("Frame", [("type", str), ("object", self._kind)], gc=False)
        return msgspec.json.Decoder(frame)

    def event(self, line: bytes) -> tuple[str, T, str] | None:
        """Type, object and resourceVersion of a watch's line, in one pass. None when it takes a
        closer look: bookmarks, errors, plain values, fields that are not known."""
        if self._kind is dict:
            return None
        try:
            frame: Any = self._watched.decode(line)
        except msgspec.DecodeError:
            return None
        version: str = frame.object.metadata.resourceVersion
        return (frame.type, frame.object, version) if version and frame.type in _CHANGES else None

    def one(self, data: bytes | msgspec.Raw) -> T:
        """An object. Raises Unreadable."""
        try:
            return self._one.decode(data)
        except msgspec.DecodeError:
            return self._leniently(bytes(data))

    def many(self, data: bytes) -> tuple[list[T], ListMeta]:
        """The items of a list and its metadata. Raises Unreadable."""
        try:
            found: Any = self._many.decode(data)
            return found.items or [], found.metadata
        except msgspec.ValidationError:
            pass
        except msgspec.DecodeError as problem:
            raise Unreadable(f"list of {self._kind.__name__}: {problem}") from None
        try:
            raw = _raw_list.decode(data)
            listed = lenient.decode(bytes(raw.metadata), ListMeta, lenient.IGNORE)[0]
        except (msgspec.DecodeError, errors.ApiError) as problem:
            raise Unreadable(f"list of {self._kind.__name__}: {problem}") from None
        return [self.one(item) for item in raw.items or []], listed

    def _leniently(self, data: bytes) -> T:
        try:
            return lenient.decode(data, self._kind, lenient.IGNORE)[0]
        except errors.ApiError as problem:
            raise Unreadable(f"{self._kind.__name__}: {problem.message}") from None


_decoders: dict[type, Decoder[Any]] = {}


def decoder(kind: type[T]) -> Decoder[T]:
    """The one decoder of a type, which all clients of a process share."""
    found = _decoders.get(kind)
    if found is None:
        found = _decoders[kind] = Decoder(kind)
    return found


def failure(response: Response, verb: str, resource: str, name: str) -> errors.ApiError:
    """The error that an answer of 400 or more reports."""
    status = _status(response.body)
    if status is not None:
        return errors.from_status(status)
    return errors.generic(
        response.status,
        verb,
        resource,
        name,
        response.body[:2048].decode(errors="replace").strip() or "unknown",
        retry_after(response.headers),
        unexpected=True,
    )


def reported(data: bytes | msgspec.Raw) -> errors.ApiError:
    """The error in an ERROR event of a watch."""
    status = _status(data)
    if status is not None:
        return errors.from_status(status)
    return errors.internal_error(f"an error event that is no Status: {bytes(data)[:200]!r}")


def retry_after(headers: Mapping[str, str]) -> int:
    """Seconds that the server asks to wait; 0 when it asks nothing."""
    text = headers.get("retry-after", "")
    return int(text) if text.isdigit() else 0


def _status(data: bytes | msgspec.Raw) -> Status | None:
    try:
        status = lenient.decode(bytes(data), Status, lenient.IGNORE)[0]
    except errors.ApiError:
        return None
    return status if status.kind == "Status" and status.code else None
