"""JSON patch (RFC 6902): a list of operations, applied in order, all or nothing.

In: the body of an ``application/json-patch+json`` request, and a plain document. Out: the new
document. Called by: the API server's patch verb, mutating webhooks, the CLI. Rules: RFC 6902 with
the habits of upstream's library, which clients rely on: a negative index counts from the end, and
``replace`` of an absent object member adds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        deep = decode.too_deep(_ENCODER.encode(work.document))
    except RecursionError:
        deep = True
    if deep:
        raise _does_not_apply("exceeded max depth")
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


class TestFailed(errors.ApiError):
    """A ``test`` operation found another value than it names."""

    __test__ = False

    def __init__(self, error: errors.ApiError) -> None:
        super().__init__(error.code, error.reason, error.message, error.details)


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
                self._add(step.path, step.value, 'doc is missing path: "{}"', "add")
            case "remove":
                self._remove(step.path, 'doc is missing path: "{}"', "remove")
            case "replace":
                self._replace(step)
            case "move":
                value = self._remove(step.source, "doc is missing from path: {}", "move")
                self._add(step.path, value, "doc is missing destination path: {}", "move")
            case "copy":
                self._copy(step)
            case "test":
                self._test(step)

    def _add(self, path: str, value: Any, missing: str, op: str) -> None:
        holder, key = self._find(op, path, missing)
        # The value stays the patch's own: what changes beneath it is copied first.
        if isinstance(holder, dict):
            holder[key] = value
        elif key == "-":
            holder.append(value)
        else:
            with _wrapped(f"error in {op} for path: '{path}'"):
                holder.insert(_index(key, len(holder) + 1, adding=True), value)

    def _copy(self, step: Operation) -> None:
        value = self._get(step.source, "doc is missing from path: {}", "copy", "from")
        self._find("copy", step.path, "doc is missing destination path: {}", changing=False)
        self._copied += len(_ENCODER.encode(value))
        if self._copied > MAX_COPIED:
            raise _does_not_apply(
                "Unable to complete the copy, the accumulated size increase of copy is "
                f"{self._copied}, exceeding the limit {MAX_COPIED}"
            )
        # The value now stands in two places: no container may be changed in place.
        self._mine.clear()
        self._add(step.path, value, "doc is missing destination path: {}", "copy")

    def _remove(self, path: str, missing: str, op: str) -> Any:
        holder, key = self._find(op, path, missing)
        with _wrapped(f"error in {op} for path: '{key if op == 'move' else path}'"):
            if isinstance(holder, dict):
                if key not in holder:
                    raise ValueError(f"Unable to remove nonexistent key: {key}: missing value")
                return holder.pop(key)
            return holder.pop(_index(key, len(holder)))

    def _replace(self, step: Operation) -> None:
        if step.path == "":
            if not isinstance(step.value, dict | list):
                raise _does_not_apply("replace operation value must be object or array")
            self.document = step.value
            return
        holder, key = self._find("replace", step.path, "doc is missing path: {}")
        if isinstance(holder, dict):
            holder[key] = step.value
            return
        try:
            holder[_index(key, len(holder))] = step.value
        except ValueError:
            raise _missing("replace", "doc is missing key: {}", step.path) from None

    def _test(self, step: Operation) -> None:
        found = self.document
        if step.path:
            found = self._get(step.path, "is missing path: {}", "test", "path")
        if not same(found, step.value):
            raise TestFailed(_does_not_apply(f"testing value {step.path} failed: test failed"))

    def _get(self, path: str, missing: str, op: str, what: str) -> Any:
        """The value at ``path``; an absent object member is null."""
        holder, key = self._find(op, path, missing, changing=False)
        if isinstance(holder, dict):
            return holder.get(key)
        with _wrapped(f"error in {op} for {what}: '{path}'"):
            return holder[_index(key, len(holder))]

    def _find(self, op: str, path: str, missing: str, changing: bool = True) -> tuple[Any, str]:
        """The container that holds the last token of ``path``, and that token. ``missing`` is the
        error where there is none."""
        tokens = path.split("/")
        if len(tokens) < 2:
            raise _missing(op, missing, path)
        if changing:
            self.document = self._own(self.document)
        here = self.document
        for token in tokens[1:-1]:
            key: Any = _unescape(token)
            if isinstance(here, list):
                try:
                    key = _index(key, len(here))
                except ValueError:
                    raise _missing(op, missing, path) from None
            below = here.get(key) if isinstance(here, dict) else here[key]
            if not isinstance(below, dict | list):
                raise _missing(op, missing, path)
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


def _index(key: str, size: int, *, adding: bool = False) -> int:
    """The place in a list of ``size``; ValueError where there is none."""
    if not _INDEX(key):
        problem = f"strconv.Atoi: parsing {gotext.quote(key)}: invalid syntax"
        if adding:
            problem = f"value was not a proper array index: '{key}': {problem}"
        raise ValueError(problem)
    index = int(key)
    if not -size <= index < size:
        raise ValueError(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + size if index < 0 else index


@contextmanager
def _wrapped(prefix: str) -> Iterator[None]:
    """A ValueError becomes the error of an operation."""
    try:
        yield
    except ValueError as error:
        raise _does_not_apply(f"{prefix}: {error}") from None


def _missing(op: str, what: str, path: str) -> errors.ApiError:
    detail = what.format(path)
    return _does_not_apply(f"{op} operation does not apply: {detail}: missing value")


def _unescape(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~") if "~" in token else token


def _does_not_apply(detail: str) -> errors.ApiError:
    # Upstream's reply says no more than that the patch does not fit; the cause adds why.
    error = errors.generic(422, "", "", "", detail)
    assert error.details is not None
    error.details.causes = [StatusCause(message=detail)]
    return error
