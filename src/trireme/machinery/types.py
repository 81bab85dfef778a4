"""The base of every API type, and the markers that its fields carry.

An API type is a ``msgspec.Struct`` whose attributes have the wire's own names. How a field behaves
on the wire is said by its default, so that our JSON is byte for byte what upstream's Go tags give:

=====================================  ==========================================================
upstream's Go field                    here
=====================================  ==========================================================
``string`` / ``int`` + omitempty       ``str = ""`` / ``Int32 = 0``: dropped when zero
pointer                                ``T | None = None``: dropped when unset, kept when zero
slice / map + omitempty                ``list[T] = []`` / ``dict[K, V] = {}``: dropped when empty
struct, or anything without omitempty  ``T = always(T)``: written even when zero or empty
``Time`` that is no pointer            ``Time | None = null()``: written as null when unset
=====================================  ==========================================================

Everything else that upstream says with ``+listType`` and friends is a marker in ``Annotated``;
``machinery/schema`` reads the markers once per type. Upstream: api-conventions.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")


class Struct(
    msgspec.Struct, omit_defaults=True, kw_only=True, gc=False, forbid_unknown_fields=True
):
    """Base of all API types. Trees only: the garbage collector does not look inside (gc=False)."""


def always(factory: Callable[[], T]) -> T:
    """A default that is written to the wire even when it is zero: ``always(str)``."""
    if factory is dict or factory is list:
        empty: Any = factory
        default: T = msgspec.field(default_factory=lambda: empty())
        return default
    return msgspec.field(default_factory=factory)


def null() -> Any:
    """The default of a time that upstream writes as ``null`` when it is not set."""
    return msgspec.field(default_factory=lambda: None)


def atomic(struct: type[T]) -> type[T]:
    """``+structType=atomic`` of a type: owned and replaced as a whole wherever it stands."""
    # A marker of our own, which schema/tree reads.
    struct.__owned_whole__ = True  # type: ignore[attr-defined]
    return struct


def constant(text: str) -> str:
    """The value of a ``kind`` or ``apiVersion`` field: always written."""
    return msgspec.field(default_factory=lambda: text)


class Marker(msgspec.Struct, frozen=True):
    """Base of the markers that a field's ``Annotated`` may carry."""


class Default(Marker, frozen=True):
    """The value that defaulting writes when the field is absent (``None``, ``""``, or 0)."""

    value: Any


class ListMap(Marker, frozen=True):
    """``+listType=map``: items are identified by these keys (server-side apply)."""

    keys: tuple[str, ...]


class ListSet(Marker, frozen=True):
    """``+listType=set``: scalar items, each owned for itself."""


class Atomic(Marker, frozen=True):
    """``+listType=atomic``, ``+mapType=atomic`` or ``+structType=atomic``: replaced as a whole."""


class Granular(Marker, frozen=True):
    """``+structType=granular``: this field of an ``atomic`` type has parts with owners again."""


class Merge(Marker, frozen=True):
    """``patchStrategy:"merge"``: strategic merge by ``key``, or by value where key is empty."""

    key: str = ""


class Replace(Marker, frozen=True):
    """``patchStrategy:"replace"`` of an object: a strategic merge puts the new one in its place."""


class RetainKeys(Marker, frozen=True):
    """``patchStrategy:"retainKeys"``."""


class Enum(Marker, frozen=True):
    """The values that the field may hold, in the order of messages (``api/rules.declared``)."""

    values: tuple[str, ...]


class Required(Marker, frozen=True):
    """Listed in the published schema's ``required``; ``api/rules.declared`` enforces it."""


class Format(Marker, frozen=True):
    """The text format: quantity, date-time, micro-time, duration, int-or-string."""

    name: str


def listmap(*keys: str) -> ListMap:
    """``ListMap`` as it reads best in a type."""
    return ListMap(keys)


Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

# Texts with a canonical form. They are plain ``str`` in memory; the write path rewrites what
# clients send into the canonical form (machinery/schema/normalise), so stored objects always
# hold it and readers need not check.
Quantity = Annotated[str, Format("quantity")]
Time = Annotated[str, Format("date-time")]
MicroTime = Annotated[str, Format("micro-time")]
Duration = Annotated[str, Format("duration")]
IntOrString = Annotated[int | str, Format("int-or-string")]

# JSON that the API carries but does not look into. ``RawJSON`` keeps the bytes as they came.
RawJSON = msgspec.Raw
AnyJSON = Any
