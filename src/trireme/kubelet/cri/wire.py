"""CRI structs to protobuf messages and back.

In: a ``cri.model`` struct or a protobuf message. Out: the other one. Called by ``cri/client.py``.
Both sides have the same field names, so one walk over the struct's fields serves every type; the
wrapper messages ``Int64Value`` and ``UInt64Value`` become ``int | None``. Pure.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf.message import Message

from trireme.kubelet.cri.model import Struct

T = typing.TypeVar("T", bound=Struct)


def fill(message: Message, value: Struct) -> Message:
    """``message`` with every field of ``value`` set; returns it."""
    for name in value.__struct_fields__:
        item = getattr(value, name)
        if item is None or item == "" or item == [] or item == {}:
            continue
        if isinstance(item, Struct):
            fill(_present(message, name), item)
        elif isinstance(item, list):
            _fill_list(getattr(message, name), item)
        elif isinstance(item, dict):
            getattr(message, name).update(item)
        elif message.DESCRIPTOR.fields_by_name[name].message_type is not None:
            _present(message, name).value = item
        else:
            setattr(message, name, item)
    return message


def read(kind: type[T], message: Message) -> T:
    """``message`` as a ``kind``."""
    return kind(**{name: get(message) for name, get in _readers(kind)})


def _present(message: Message, name: str) -> Any:
    child = getattr(message, name)
    child.SetInParent()  # an empty message is not an absent one
    return child


def _fill_list(target: Any, items: list[Any]) -> None:
    for item in items:
        if isinstance(item, Struct):
            fill(target.add(), item)
        else:
            target.append(item)


@functools.cache
def _readers(kind: type[Struct]) -> tuple[tuple[str, Callable[[Message], Any]], ...]:
    hints = typing.get_type_hints(kind)
    return tuple(
        (field.name, _reader(field.name, hints[field.name]))
        for field in msgspec.structs.fields(kind)
    )


def _reader(name: str, hint: Any) -> Callable[[Message], Any]:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        inner = next(arg for arg in typing.get_args(hint) if arg is not type(None))
        if isinstance(inner, type) and issubclass(inner, Struct):
            return lambda m: read(inner, getattr(m, name)) if m.HasField(name) else None
        return lambda m: getattr(m, name).value if m.HasField(name) else None
    if origin is list:
        inner = typing.get_args(hint)[0]
        if isinstance(inner, type) and issubclass(inner, Struct):
            return lambda m: [read(inner, item) for item in getattr(m, name)]
        return lambda m: list(getattr(m, name))
    if origin is dict:
        return lambda m: dict(getattr(m, name))
    if isinstance(hint, type) and issubclass(hint, Struct):
        return lambda m: read(hint, getattr(m, name))
    return lambda m: getattr(m, name)
