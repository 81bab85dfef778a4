"""JSON patch (RFC 6902): a list of operations, applied in order, all or nothing.

In: the body of an ``application/json-patch+json`` request, and a plain document. Out: the new
document. Called by: the API server's patch verb, mutating webhooks, the CLI. Rules: RFC 6902 with
the habits of upstream's library, which clients rely on: a negative index counts from the end, and
``replace`` of an absent object member adds it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from trireme.machinery import errors, gotext
from trireme.machinery.schema import decode
from trireme.machinery.schema.node import ANY, LIST, MAP, OBJECT, STRING, Node, Shape
from trireme.machinery.status import StatusCause

MAX_OPERATIONS: Final = 10_000
# What the copy operations of one patch may add, in bytes of JSON.
MAX_COPIED: Final = 3 * 1024 * 1024

_INDEX: Final = re.compile(r"[+-]?[0-9]{1,18}\Z", re.ASCII).match
_ENCODER: Final = msgspec.json.Encoder()
_KINDS: Final = ("add", "remove", "replace", "move", "copy", "test")


class Operation(msgspec.Struct, frozen=True):
    """One step. ``path`` and ``source`` are JSON pointers; ``value`` serves add, replace, test."""

    op: str
    path: str
    source: str = ""
    value: Any = None


_FIELDS: Final = {
    "op": Node(STRING, "string"),
    "path": Node(STRING, "string"),
    "from": Node(STRING, "string"),
    "value": Node(ANY, "interface {}"),
}
_ITEM: Final = Node(OBJECT, "handlers.jsonPatchOp", Shape("jsonPatchOp", "", lambda: _FIELDS))
_PATCH: Final = Node(LIST, "[]handlers.jsonPatchOp", item=_ITEM)
_OPERATION: Final = Node(MAP, "jsonpatch.Operation", item=Node(ANY, "interface {}"))
_LOOSE: Final = Node(LIST, "jsonpatch.Patch", item=_OPERATION)


def parse(data: bytes, mode: str = decode.WARN) -> tuple[list[Operation], list[str]]:
    """The operations that ``data`` lists, and their unknown and duplicate members unless these are
    ignored.

    Raises ApiError: 400 for what is no list of operations, 413 for more than MAX_OPERATIONS.
    """
    if mode == decode.IGNORE:
        return operations(_loose(data)), []
    try:
        items, found = decode.untyped(data, decode.WARN, _PATCH)
    except decode.DecodeError as error:
        raise errors.bad_request(f"error decoding patch: {error.message}") from None
    return operations(items or []), [f"json patch {problem}" for problem in found]


def _loose(data: bytes) -> list[dict[str, Any]]:
    """The items of a patch before validation of their members."""
    try:
        items, _ = decode.untyped(data, decode.IGNORE, _LOOSE)
    except decode.DecodeError as error:
        raise errors.bad_request(error.message) from None
    for item in items or []:
        for name in ("op", "path", "from"):
            if name in item and not isinstance(item[name], str):
                raise _does_not_apply(f"operation failed to decode {name}")
    return items or []


def operations(items: Sequence[dict[str, Any]]) -> list[Operation]:
    """The operations of a patch that is already parsed into plain values."""
    if len(items) > MAX_OPERATIONS:
        raise errors.request_entity_too_large(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(items)}"
        )
    return [_operation(item) for item in items]


def apply(document: Any, steps: Sequence[Operation]) -> Any:
    """``document`` after all of ``steps``. Raises ApiError 422 when one of them does not apply."""
    work = _Work(document)
    for step in steps:
        work.apply(step)
    try:
        _ENCODER.encode(work.document)
    except RecursionError:
        raise _does_not_apply("exceeded max depth") from None
    return work.document


def _operation(item: dict[str, Any]) -> Operation:
    op = item.get("op", "unknown")
    if op not in _KINDS:
        raise _does_not_apply(f"Unexpected kind: {op}")
    if "path" not in item:
        raise _does_not_apply(f"{op} operation failed to decode path: missing value")
    if op in ("move", "copy") and "from" not in item:
        raise _does_not_apply(f"{op} operation failed to decode from: missing value")
    return Operation(op, item["path"], item.get("from", ""), item.get("value"))


class _Work:
    """The document while it is patched. Containers are copied at the first change beneath them."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self._mine: set[int] = set()
        # Keeps copied containers alive, so that an id is never another object's.
        self._kept: list[Any] = []
        self._copied = 0

    def apply(self, step: Operation) -> None:
        match step.op:
            case "add":
                self._add(step, step.value)
            case "remove":
                self._remove(step, step.path)
            case "replace":
                self._replace(step)
            case "move":
                self._add(step, self._remove(step, step.source))
            case "copy":
                self._copy(step)
            case "test":
                self._test(step)

    def _add(self, step: Operation, value: Any) -> None:
        holder, key = self._find(step, step.path)
        # The value stays the patch's own: what changes beneath it is copied first.
        if isinstance(holder, dict):
            holder[key] = value
        elif key == "-":
            holder.append(value)
        else:
            holder.insert(_index(step, key, len(holder) + 1), value)

    def _copy(self, step: Operation) -> None:
        value = self._get(step, step.source)
        self._copied += len(_ENCODER.encode(value))
        if self._copied > MAX_COPIED:
            raise _does_not_apply(
                "Unable to complete the copy, the accumulated size increase of copy is "
                f"{self._copied}, exceeding the limit {MAX_COPIED}"
            )
        # The value now stands in two places: no container may be changed in place.
        self._mine.clear()
        self._add(step, value)

    def _remove(self, step: Operation, path: str) -> Any:
        holder, key = self._find(step, path)
        if isinstance(holder, dict):
            if key not in holder:
                raise _does_not_apply(f"Unable to remove nonexistent key: {key}: missing value")
            return holder.pop(key)
        return holder.pop(_index(step, key, len(holder)))

    def _replace(self, step: Operation) -> None:
        if step.path == "":
            if not isinstance(step.value, dict | list):
                raise _does_not_apply("replace operation value must be object or array")
            self.document = step.value
            return
        holder, key = self._find(step, step.path)
        if isinstance(holder, dict):
            holder[key] = step.value
        else:
            holder[_index(step, key, len(holder))] = step.value

    def _test(self, step: Operation) -> None:
        found = self.document if step.path == "" else self._get(step, step.path)
        if not same(found, step.value):
            raise _does_not_apply(f"testing value {step.path} failed: test failed")

    def _get(self, step: Operation, path: str) -> Any:
        """The value at ``path``; an absent object member is null."""
        holder, key = self._find(step, path, changing=False)
        if isinstance(holder, dict):
            return holder.get(key)
        return holder[_index(step, key, len(holder))]

    def _find(self, step: Operation, path: str, changing: bool = True) -> tuple[Any, str]:
        """The container that holds the last token of ``path``, and that token."""
        tokens = path.split("/")
        if len(tokens) < 2:
            raise _does_not_apply(
                f"{step.op} operation does not apply: doc is missing path: {path}"
            )
        if changing:
            self.document = self._own(self.document)
        here = self.document
        for token in tokens[1:-1]:
            key: Any = _unescape(token)
            if isinstance(here, list):
                key = _index(step, key, len(here))
            below = here.get(key) if isinstance(here, dict) else here[key]
            if not isinstance(below, dict | list):
                missing = f"{step.op} operation does not apply: doc is missing path: {path}"
                raise _does_not_apply(missing)
            if changing:
                below = here[key] = self._own(below)
            here = below
        return here, _unescape(tokens[-1])

    def _own(self, container: Any) -> Any:
        """``container``, or a copy that may be changed."""
        if id(container) in self._mine:
            return container
        copied = dict(container) if isinstance(container, dict) else list(container)
        self._mine.add(id(copied))
        self._kept.append(copied)
        return copied


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: ``1``, ``1.0`` and ``true`` all differ."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def _index(step: Operation, key: str, size: int) -> int:
    if not _INDEX(key):
        quoted = gotext.quote(key)
        raise _does_not_apply(f"{step.op} operation: {quoted} is not an array index")
    index = int(key)
    if not -size <= index < size:
        raise _does_not_apply(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + size if index < 0 else index


def _unescape(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~") if "~" in token else token


def _does_not_apply(detail: str) -> errors.ApiError:
    # Upstream's reply says no more than that the patch does not fit; the cause adds why.
    error = errors.generic(422, "", "", "", detail)
    assert error.details is not None
    error.details.causes = [StatusCause(message=detail)]
    return error
